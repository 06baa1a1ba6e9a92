"""The database engine: SQLite or MySQL/MariaDB, pooled, with driver errors translated at this border."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dicomweb_gateway.errors import IndexUnavailable

BUSY_TIMEOUT = 10_000
"""Milliseconds that SQLite waits for another process's write; index transactions take far less."""

POOL_TIMEOUT = 10
"""Seconds that a request waits for a connection before it is told 503."""

RECYCLE_AFTER = 600
"""Seconds after which a MySQL connection is replaced; below the idle timeouts of usual proxies."""

WRITE_TRIES = 12
"""Times that a write is tried when another indexer gets in its way (deadlock, same new key)."""

_SQLITE_START = "sqlite_start"


def make_engine(url: str, pool_size: int = 16) -> Engine:
    """A pooled engine for `url`; nothing is connected yet, but a SQLite file's folder is made.

    `pool_size`: connections kept open, normally one for each web thread; as many again may open for a
    while. SQLite runs in WAL mode, so that readers never wait for the indexer.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=POOL_TIMEOUT,
            pool_pre_ping=True,
            pool_recycle=RECYCLE_AFTER,
        )
    pool: dict[str, Any] = {}
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        pool = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": POOL_TIMEOUT}
    engine = create_engine(parsed, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def index_errors() -> Iterator[None]:
    """Turns what the driver or the pool raises inside into IndexUnavailable; SQL text stays out of it."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise IndexUnavailable("the metadata index does not answer") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection with one consistent view of the index; errors come as IndexUnavailable."""
    with index_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write, committed at the end; driver errors come out untranslated.

    On SQLite it takes the write lock at once: a read lock that is raised later fails at the first
    contention instead of waiting. Elsewhere it reads what is committed and locks rows, not gaps between
    them, which two indexers of different studies would contend for.
    """
    sqlite = engine.dialect.name == "sqlite"
    options = {_SQLITE_START: "BEGIN IMMEDIATE"} if sqlite else {"isolation_level": "READ COMMITTED"}
    with engine.execution_options(**options).begin() as connection:
        yield connection


def is_contention(error: Exception) -> bool:
    """Whether `error` may vanish when the same write is tried again."""
    return isinstance(error, IntegrityError | OperationalError)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would otherwise open transactions by itself, and only before the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # LIKE must tell a from A here as it does under utf8mb4_bin (dicomweb.md Q-11).
    cursor.execute("PRAGMA case_sensitive_like = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_SQLITE_START, "BEGIN"))
