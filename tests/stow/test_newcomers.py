"""Who stores into a new study is alone there, whatever else is stored meanwhile."""

import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomweb_gateway.errors import GatewayBusy, StorageUnavailable
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.server_locks import ServerLocks
from dicomweb_gateway.stow import newcomers
from dicomweb_gateway.stow.newcomers import Newcomers

STORE = "d" * 32


def soon() -> float:
    return time.monotonic() + 0.1


def test_a_study_is_taken_once_until_it_is_given_back(tmp_path):
    # two instances, as of two processes
    one, two = Newcomers(tmp_path / "locks"), Newcomers(tmp_path / "locks")
    with (
        one.alone(STORE, ["1.2", "1.3"], soon()),
        pytest.raises(GatewayBusy),
        two.alone(STORE, ["1.3"], soon()),
    ):
        pass
    with two.alone(STORE, ["1.3", "1.4"], soon()), one.alone(STORE, [], soon()):
        pass


def test_what_was_taken_is_given_back_where_the_rest_is_not_free(tmp_path, monkeypatch):
    monkeypatch.setattr(newcomers, "_name", str)
    locks = Newcomers(tmp_path)
    with locks.alone("d", ["2"], soon()):
        with pytest.raises(GatewayBusy), locks.alone("d", ["1", "2"], soon()):
            pass
        with locks.alone("d", ["1"], soon()):
            pass


def test_a_folder_that_cannot_be_made():
    with pytest.raises(StorageUnavailable), Newcomers(Path("/dev/null/x")).alone(STORE, ["1"], soon()):
        pass


def test_locks_of_all_hosts_are_taken_after_those_of_this_one(tmp_path):
    taken: list[set[str]] = []

    @contextmanager
    def beyond(names, deadline):
        taken.append(set(names))
        yield
        taken.pop()

    one, two = (Newcomers(tmp_path, beyond) for _ in range(2))
    with one.alone(STORE, ["1.2", "1.3"], soon()):
        assert len(taken) == 1
        assert len(taken[0]) == 2
        with pytest.raises(GatewayBusy), two.alone(STORE, ["1.2"], soon()):
            pass
        assert len(taken) == 1
    assert taken == []


def test_two_hosts_of_one_database_wait_for_each_other(tmp_path, empty_url, database_kind):
    if database_kind == "sqlite":
        pytest.skip("SQLite is on one host")
    engine = make_engine(empty_url)
    hosts = [Newcomers(tmp_path / name, ServerLocks(engine).alone) for name in ("one", "two")]
    with hosts[0].alone(STORE, ["1.2"], time.monotonic() + 60):
        with pytest.raises(GatewayBusy), hosts[1].alone(STORE, ["1.2"], soon()):
            pass
        with hosts[1].alone(STORE, ["1.3"], time.monotonic() + 60):
            pass
    with hosts[1].alone(STORE, ["1.2"], time.monotonic() + 60):
        pass
    engine.dispose()
