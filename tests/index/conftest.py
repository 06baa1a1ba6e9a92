"""Fresh, migrated indexes on each kind of database (tests/databases.py)."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade


@pytest.fixture
def engine(index_url: str) -> Iterator[Engine]:
    upgrade(index_url)
    engine = make_engine(index_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_only(database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("about SQLite")
