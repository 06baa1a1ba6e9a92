"""Empty, migrated indexes on each kind of database (tests/databases.py)."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dicomweb_gateway.index.engine import make_engine


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = make_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_only(database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("about SQLite")
