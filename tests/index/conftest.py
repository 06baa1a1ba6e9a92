"""Fresh, migrated indexes: SQLite files, or databases on the server that INDEX_TEST_SERVER names.

INDEX_TEST_SERVER is a SQLAlchemy URL without database of a MySQL or MariaDB server whose user may create
and drop databases, for example mysql+pymysql://root@127.0.0.1:3306. Tests that are about SQLite skip then.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade

SERVER = os.environ.get("INDEX_TEST_SERVER", "")


def _on_server(statement: str) -> None:
    server = create_engine(SERVER)
    with server.begin() as connection:
        connection.execute(text(statement))
    server.dispose()


@pytest.fixture(scope="session")
def new_index_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes URLs of new, empty databases."""
    made: list[str] = []

    def make() -> str:
        if not SERVER:
            folder: Path = tmp_path_factory.mktemp("index")
            return f"sqlite:///{folder}/index.db"
        made.append(f"test_{uuid4().hex}")
        _on_server(f"CREATE DATABASE {made[-1]} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        return f"{SERVER}/{made[-1]}?charset=utf8mb4"

    yield make
    for name in made:
        _on_server(f"DROP DATABASE {name}")


@pytest.fixture
def index_url(new_index_url: Callable[[], str]) -> str:
    return new_index_url()


@pytest.fixture
def engine(index_url: str) -> Iterator[Engine]:
    upgrade(index_url)
    engine = make_engine(index_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_only() -> None:
    if SERVER:
        pytest.skip("about SQLite, and INDEX_TEST_SERVER names another database")
