"""Locks that hold over all hosts: each engine here stands for one of them."""

import threading
import time

import pytest

from dicomweb_gateway.errors import GatewayBusy, IndexUnavailable
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.server_locks import ServerLocks


@pytest.fixture
def hosts(engine, empty_url, database_kind):
    if database_kind == "sqlite":
        pytest.skip("SQLite is on one host")
    other = make_engine(empty_url, pool_size=1, statement_timeout=5)
    yield ServerLocks(engine), ServerLocks(other)
    other.dispose()


def soon():
    return time.monotonic() + 0.1


def test_a_name_is_held_once_until_it_is_given_back(hosts):
    one, two = hosts
    with one.alone(["a", "b"], soon()):
        with pytest.raises(GatewayBusy), two.alone(["b", "c"], soon()):
            pass
        # what was taken before that is free again
        with two.alone(["c"], soon()):
            pass
    with two.alone(["b", "a"], soon()), one.alone([], soon()):
        pass


def test_whoever_waits_gets_it_in_the_end(hosts):
    one, two = hosts
    entered, got = threading.Event(), []

    def wait():
        entered.set()
        with two.alone(["a"], time.monotonic() + 60):
            got.append(held.is_set())

    held = threading.Event()
    with one.alone(["a"], soon()):
        thread = threading.Thread(target=wait)
        thread.start()
        entered.wait(10)
        held.set()
    thread.join()
    assert got == [True]


def test_a_holder_that_is_gone_holds_nothing(hosts, engine):
    """The server ends a session whose process is killed, as it does here; who held it goes on."""
    one, two = hosts
    with one.alone(["a"], soon()), engine.connect() as other:
        mine = other.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
        rows = other.exec_driver_sql("SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
        for (number,) in rows.all():
            if number != mine:
                other.exec_driver_sql(f"KILL {number}")
        with two.alone(["a"], time.monotonic() + 10):
            pass


def test_a_server_that_is_away(empty_url):
    away = make_engine("mysql+pymysql://nobody@127.0.0.1:1/none")
    with pytest.raises(IndexUnavailable), ServerLocks(away).alone(["a"], soon()):
        pass
    away.dispose()


def test_sqlite_needs_none(engine, sqlite_only):
    with ServerLocks(engine).alone(["a"], soon()), ServerLocks(engine).alone(["a"], soon()):
        pass
