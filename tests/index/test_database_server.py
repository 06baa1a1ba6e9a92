"""A MySQL or MariaDB server that is slow, read-only, restarted or that refuses us."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, func, insert, make_url, select, text
from sqlalchemy.exc import OperationalError

from dicomweb_gateway.errors import IndexUnavailable, ResourceNotFound
from dicomweb_gateway.index import idle
from dicomweb_gateway.index.engine import is_refusal, lacks_table, make_engine, reading, writing
from dicomweb_gateway.index.idle import IDLE_SECONDS
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.secrets import shared_secret
from dicomweb_gateway.index.tables import imagetype
from tests.databases import PrivateMariaDb, drop_database, need_mariadb, new_database, on_server
from tests.index.documents import simple

KEEPS_COMMITS = "--innodb-flush-log-at-trx-commit=2"
"""Commits survive the death of the server's process, as they do everywhere but in tests."""

PATH = ("1.2", "1.2.1", "1.2.1.1")


@pytest.fixture(scope="module")
def filled_url(mariadb_server: str) -> Iterator[str]:
    name, url = new_database(mariadb_server)
    upgrade(url)
    engine = make_engine(url)
    index_image_set(engine, simple("1.2", "a", 2), version=1)
    engine.dispose()
    yield url
    drop_database(mariadb_server, name)


@pytest.fixture
def reader_engine(filled_url: str) -> Iterator[Engine]:
    engine = make_engine(filled_url, statement_timeout=1)
    yield engine
    engine.dispose()


def test_readers_have_read_only_sessions(reader_engine):
    with pytest.raises(IndexUnavailable) as refused, reading(reader_engine) as connection:
        connection.execute(insert(imagetype).values(type="x"))
    assert is_refusal(refused.value.__cause__)
    with writing(reader_engine) as connection:
        connection.execute(insert(imagetype).values(type="x"))
    with reading(reader_engine) as connection:
        assert connection.execute(select(imagetype.c.type)).scalars().all() == ["x"]
    with pytest.raises(OperationalError), reader_engine.begin() as connection:
        connection.execute(insert(imagetype).values(type="y"))


def test_a_long_statement_is_ended(reader_engine):
    with pytest.raises(IndexUnavailable), reading(reader_engine) as connection:
        connection.execute(text("SELECT sum(seq * rand()) FROM seq_1_to_1000000000")).scalar()
    assert IndexReader(reader_engine).instance(*PATH).instance_uid == PATH[2]


def test_a_transaction_sees_one_state(filled_url, reader_engine):
    writer = make_engine(filled_url)
    with reading(reader_engine) as connection:
        before = connection.execute(text("SELECT count(*) FROM gateway_instance")).scalar()
        index_image_set(writer, simple("1.9", "other"), version=1)
        assert connection.execute(text("SELECT count(*) FROM gateway_instance")).scalar() == before
    writer.dispose()


@pytest.fixture
def select_only(mariadb_server: str, filled_url: str) -> Iterator[str]:
    """URL of the same index for a user with the rights of the AWS proxy guide."""
    url = make_url(filled_url)
    on_server(mariadb_server, "CREATE USER dicomwebproxy@'%' IDENTIFIED BY 'only-reads'")
    on_server(mariadb_server, f"GRANT SELECT, SHOW VIEW ON {url.database}.* TO dicomwebproxy@'%'")
    yield url.set(username="dicomwebproxy", password="only-reads").render_as_string(hide_password=False)
    on_server(mariadb_server, "DROP USER dicomwebproxy@'%'")


def test_a_user_who_may_only_select(select_only):
    engines = [make_engine(select_only, statement_timeout=5) for _ in range(2)]
    index = IndexReader(engines[0], cache_seconds=0)
    assert index.instance(*PATH).instance_uid == PATH[2]
    index.mark_stale(index.instance(*PATH).image_set)
    with pytest.raises(ResourceNotFound):
        index.instance(*PATH)
    first, second = (shared_secret(engine, "boundary") for engine in engines)
    assert first == second
    assert len(bytes.fromhex(first)) == 32
    assert shared_secret(engines[0], "other") != first
    for engine in engines:
        engine.dispose()


def test_without_side_tables_the_secret_follows_from_the_address(mariadb_server):
    name, url = new_database(mariadb_server)
    engine, other = make_engine(url), make_engine(f"{url}&autocommit=0")
    assert shared_secret(engine, "boundary") == shared_secret(make_engine(url), "boundary")
    assert shared_secret(engine, "boundary") != shared_secret(other, "boundary")
    with pytest.raises(IndexUnavailable) as caught:
        IndexReader(engine).ping()
    assert lacks_table(caught.value.__cause__)
    for one in (engine, other):
        one.dispose()
    drop_database(mariadb_server, name)


@pytest.fixture
def own_server(tmp_path) -> Iterator[PrivateMariaDb]:
    """A server that the test may kill."""
    need_mariadb()
    server = PrivateMariaDb(tmp_path / "own")
    server.install()
    server.start(KEEPS_COMMITS)
    yield server
    server.stop()


class Load:
    """Threads that ask for a series all the time, and how often they were answered, refused, or misled."""

    def __init__(self, index: IndexReader) -> None:
        self.right = self.unavailable = 0
        self.wrong: list[object] = []
        self._index = index
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(4)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.005):
            try:
                found = [one.instance_uid for one in self._index.series_instances("1.2", "1.2.1")]
                self.right += 1
                if found != ["1.2.1.1", "1.2.1.2"]:
                    self.wrong.append(found)
            except IndexUnavailable:
                self.unavailable += 1
            except Exception as error:
                self.wrong.append(error)
                return


def wait_for(condition: Callable[[], object]) -> None:
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_a_killed_server_recovers_under_load(own_server):
    """While it is away readers are told so; no answer is wrong; nobody has to be restarted."""
    _, url = new_database(own_server.url)
    upgrade(url)
    writer = make_engine(url)
    index_image_set(writer, simple("1.2", "a", 2), version=1)
    engine = make_engine(url, pool_size=4, statement_timeout=5)
    index = IndexReader(engine, cache_seconds=0)
    with Load(index) as load:
        wait_for(lambda: load.right > 20)
        own_server.kill()
        wait_for(lambda: load.unavailable > 20)
        own_server.start(KEEPS_COMMITS)
        before = load.right
        wait_for(lambda: load.right > before + 20 or load.wrong)
    assert not load.wrong
    index_image_set(writer, simple("1.2", "a", 3), version=2)
    assert len(index.series_instances("1.2", "1.2.1")) == 3
    engine.dispose()
    writer.dispose()


def test_a_connection_that_idled_over_a_restart_is_replaced_unseen(own_server):
    _, url = new_database(own_server.url)
    upgrade(url)
    engine = make_engine(url, statement_timeout=5)
    index = IndexReader(engine)
    index.ping()
    own_server.kill()
    own_server.start(KEEPS_COMMITS)
    time.sleep(IDLE_SECONDS)
    index.ping()
    engine.dispose()


def test_only_what_lay_idle_is_pinged(reader_engine, monkeypatch):
    pings = []
    monkeypatch.setattr(reader_engine.dialect, "do_ping", pings.append)
    for _ in range(3):
        with reading(reader_engine) as connection:
            connection.execute(text("SELECT 1"))
    assert pings == []
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0)
    with reading(reader_engine) as connection:
        connection.execute(text("SELECT 1"))
    assert len(pings) == 1


def kill_connection(engine, url):
    with reading(engine) as connection:
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar()
    on_server(url, f"KILL {number}")


def test_a_killed_connection_costs_a_writer_nothing(filled_url):
    engine = make_engine(filled_url)
    kill_connection(engine, filled_url)
    index_image_set(engine, simple("1.2", "a", 2), version=1)
    engine.dispose()


def test_writers_read_what_is_committed_and_readers_one_state(reader_engine, filled_url):
    """One after the other in the same pooled connection."""
    other = make_engine(filled_url)
    query = select(func.count()).select_from(imagetype)
    for opened, sees in ((writing, True), (reading, False), (writing, True)):
        with opened(reader_engine) as connection:
            before = connection.execute(query).scalar_one()
            with writing(other) as apart:
                apart.execute(insert(imagetype).values(type="z"))
            assert (connection.execute(query).scalar_one() > before) is sees
    other.dispose()


def test_a_killed_connection_costs_one_request(reader_engine, filled_url):
    kill_connection(reader_engine, filled_url)
    with pytest.raises(IndexUnavailable), reading(reader_engine) as connection:
        connection.execute(text("SELECT 1"))
    assert IndexReader(reader_engine).instance(*PATH).instance_uid == PATH[2]


def test_a_server_that_takes_no_writes(own_server):
    name, url = new_database(own_server.url)
    upgrade(url)
    on_server(own_server.url, "CREATE USER plain@'%'")
    on_server(own_server.url, f"GRANT ALL ON {name}.* TO plain@'%'")
    engine = make_engine(make_url(url).set(username="plain").render_as_string())
    index_image_set(engine, simple("1.2", "a", 3), version=1)
    on_server(own_server.url, "SET GLOBAL read_only = 1")
    with pytest.raises(IndexUnavailable):
        index_image_set(engine, simple("1.3", "b"), version=1)
    assert len(IndexReader(engine).series_instances("1.2", "1.2.1")) == 3
    engine.dispose()
