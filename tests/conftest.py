"""Fixtures that every room's tests may use."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import (
    EmptiedDatabase,
    PrivateMariaDb,
    drop_database,
    need_mariadb,
    new_aws_database,
    new_database,
)
from tests.index_files import migrated_file

ROOT = Path(__file__).parents[1]
MOST_WORKERS = 4
"""Each worker of `pytest -n auto` has a MariaDB and demos of its own."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers of `-n auto`."""
    return min(os.cpu_count() or 1, MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, as they share servers, and files go in order: the longest come early."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules live to the end: the collector need not walk them each time."""
    gc.collect()
    gc.freeze()


def corpus_folder() -> Path:
    """Where the development corpus lies, whether or not it exists here."""
    return Path(os.environ.get("DICOM_CORPUS", ROOT.parent / "shared" / "data" / "dicom"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = corpus_folder()
    if not (folder / "MANIFEST.json").exists():
        pytest.skip(f"no DICOM corpus at {folder} (set DICOM_CORPUS)")
    return folder


@pytest.fixture(scope="session")
def ahi_documents() -> Path:
    folder = corpus_folder().parent / "ahi"
    if not folder.is_dir():
        pytest.skip(f"no HealthImaging documents at {folder}")
    return folder


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SQLAlchemy URL, without a database, of the session's private MariaDB (see tests/databases.py)."""
    given = os.environ.get("INDEX_TEST_SERVER")
    if given:
        yield given
        return
    need_mariadb()
    server = PrivateMariaDb(tmp_path_factory.mktemp("mariadb"))
    server.install()
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def aws_url(mariadb_server: str) -> Iterator[str]:
    """The administrator's URL of a new database with the schema `ahiindex`."""
    name, url = new_aws_database(mariadb_server)
    yield url
    drop_database(mariadb_server, name)


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Every test that uses a database through this or the fixtures below runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def server_of_kind(database_kind: str, request: pytest.FixtureRequest) -> str | None:
    """The server's URL; None for SQLite, which then needs none to be started."""
    if database_kind == "sqlite":
        return None
    url: str = request.getfixturevalue("mariadb_server")
    return url


@pytest.fixture(scope="module")
def new_index_url(
    server_of_kind: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Makes URLs of new, empty databases; they last as long as the test module."""
    made: list[str] = []

    def make() -> str:
        if server_of_kind is None:
            return f"sqlite:///{tmp_path_factory.mktemp('index')}/index.db"
        name, url = new_database(server_of_kind)
        made.append(name)
        return url

    yield make
    for name in made:
        drop_database(str(server_of_kind), name)


@pytest.fixture
def index_url(new_index_url: Callable[[], str]) -> str:
    """The URL of a new, empty database."""
    return new_index_url()


@pytest.fixture(scope="session")
def emptied(server_of_kind: str | None) -> Iterator[EmptiedDatabase | None]:
    """The server's database that `empty_url` gives again and again; None for SQLite."""
    if server_of_kind is None:
        yield None
        return
    database = EmptiedDatabase(server_of_kind)
    yield database
    database.drop()


@pytest.fixture
def empty_url(emptied: EmptiedDatabase | None, tmp_path: Path) -> str:
    """The URL of an empty index of the newest revision; for tests that leave its tables as they are."""
    return migrated_file(tmp_path / "empty.db") if emptied is None else emptied.url()
