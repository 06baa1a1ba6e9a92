"""A fresh, migrated SQLite index."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade


@pytest.fixture
def index_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/index.db"


@pytest.fixture
def engine(index_url: str) -> Iterator[Engine]:
    upgrade(index_url)
    engine = make_engine(index_url)
    yield engine
    engine.dispose()
