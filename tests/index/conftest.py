"""Empty, migrated indexes on each kind of database (tests/databases.py)."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade
from tests.databases import drop_database, new_database
from tests.index.filled import fill
from tests.index_files import migrated_file


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def filled(server_of_kind: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The index of `filled.py`, for tests that only search."""
    name, url = "", migrated_file(tmp_path_factory.mktemp("filled") / "index.db")
    if server_of_kind is not None:
        name, url = new_database(server_of_kind)
        upgrade(url)
    engine = make_engine(url)
    fill(engine)
    yield engine
    engine.dispose()
    if server_of_kind is not None:
        drop_database(server_of_kind, name)


@pytest.fixture
def sqlite_only(database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("about SQLite")
