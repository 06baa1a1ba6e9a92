"""The database engine: SQLite or MySQL/MariaDB, pooled, with driver errors translated at this border."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.imagesets.database_secret import DatabaseSecret
from dicomweb_gateway.index.address import DatabaseAddress, parse_address, tls_arguments
from dicomweb_gateway.index.idle import ping_after_idling
from dicomweb_gateway.telemetry.catalogue import DATABASE_ERRORS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.telemetry.timeline import span

BUSY_TIMEOUT = 10_000
"""Milliseconds that SQLite waits for another process's write; index transactions take far less."""

POOL_TIMEOUT = 10
"""Seconds that a request waits for a connection before it is told 503."""

RECYCLE_AFTER = 600
"""Seconds after which a MySQL connection is replaced; below the idle timeouts of usual proxies."""

CONNECT_TIMEOUT = 5
"""Seconds that connecting to a database server may take."""

ANSWER_TIMEOUT = 120
"""Seconds that a writer waits for one answer of the server: above InnoDB's own 50 for a lock."""

ANSWER_GRACE = 5
"""Seconds beyond its statement timeout that a reader waits: the server is to end the statement first."""

WRITE_TRIES = 12
"""Times that a write is tried when another indexer gets in its way (deadlock, same new key)."""

_SQLITE_START = "sqlite_start"
_READ_ONLY = "read_only_sessions"
_IDENTITY = "identity"
_ACCESS_DENIED = 1045
_NO_SUCH_TABLE = 1146
_REFUSALS = {1044, 1142, 1143, 1227, 1290, 1792, 1836}
"""What MySQL and MariaDB say to a user, a session or a server that may only read."""


def make_engine(
    url: str,
    pool_size: int = 16,
    *,
    statement_timeout: float | None = None,
    answer_timeout: float | None = ANSWER_TIMEOUT,
) -> Engine:
    """A pooled engine for `url`; nothing is connected yet, but a SQLite file's folder is made.

    `pool_size`: connections kept open, normally one for each web thread; as many again may open for a
    while. `statement_timeout`, in seconds, makes it an engine for readers: the server ends longer
    statements, and its sessions are read-only except inside `writing`. Writers wait `answer_timeout` seconds
    for an answer, None for ever. SQLite runs in WAL mode, so that readers never wait for the indexer, and
    takes neither timeout. Parameters of the URL that are ours: `address.py`. Raises SettingsError.
    """
    address = parse_address(url)
    if not address.is_sqlite:
        return _server_engine(address, url, pool_size, statement_timeout, answer_timeout)
    pool: dict[str, Any] = {}
    if address.url.database and address.url.database != ":memory:":
        Path(address.url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        pool = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": POOL_TIMEOUT}
    engine = create_engine(address.url, execution_options={_IDENTITY: url}, **pool)
    event.listen(engine, "do_connect", _make_own)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_own(_: Any, __: Any, places: list[str], ___: Any) -> None:
    """Make the file that is about to be opened, if it is missing, readable for its owner alone.

    SQLite gives its other files the same rights. What cannot be made it says itself.
    """
    for place in places[:1]:
        with suppress(OSError):
            if not place.startswith((":", "file:")):
                os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def memory_engine() -> Engine:
    """An engine for a database in memory that is its own; its one connection goes from thread to thread."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def identity_of(engine: Engine) -> str:
    """The URL that the engine was made of, password included: the same in all processes of a service."""
    return str(engine.get_execution_options()[_IDENTITY])


@contextmanager
def index_errors() -> Iterator[None]:
    """Turns what the driver or the pool raises inside into IndexUnavailable; SQL text stays out of it."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        count(DATABASE_ERRORS)
        raise IndexUnavailable("the metadata index does not answer") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection with one consistent view of the index; errors come as IndexUnavailable."""
    with span("index"), index_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write, committed at the end; driver errors come out untranslated.

    On SQLite it takes the write lock at once: a read lock that is raised later fails at the first
    contention instead of waiting. Elsewhere it reads what is committed and locks rows, not gaps between
    them, which two indexers of different studies would contend for.
    """
    if engine.dialect.name == "sqlite":
        with engine.execution_options(**{_SQLITE_START: "BEGIN IMMEDIATE"}).begin() as connection:
            yield connection
        return
    access = ", READ WRITE" if engine.get_execution_options().get(_READ_ONLY) else ""
    with engine.begin() as connection:
        # holds for this transaction alone; as a statement, it fails on a dead connection as all others do
        connection.execute(text(f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED{access}"))
        yield connection


def is_contention(error: Exception) -> bool:
    """Whether `error` may vanish when the same write is tried again."""
    return isinstance(error, IntegrityError | OperationalError) and not is_refusal(error)


def is_refusal(error: BaseException | None) -> bool:
    """Whether the database said that we may not write it."""
    return _code(error) in _REFUSALS or "readonly database" in str(getattr(error, "orig", ""))


def lacks_table(error: BaseException | None) -> bool:
    """Whether the database said that a table does not exist: `db upgrade` has not run."""
    return _code(error) == _NO_SUCH_TABLE or "no such table" in str(getattr(error, "orig", ""))


def _code(error: BaseException | None) -> object:
    """The server's error number, None when `error` carries none."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause.args[0] if isinstance(cause, BaseException) and cause.args else None


def _server_engine(
    address: DatabaseAddress,
    identity: str,
    pool_size: int,
    statement_timeout: float | None,
    answer_timeout: float | None,
) -> Engine:
    wait = answer_timeout if statement_timeout is None else statement_timeout + ANSWER_GRACE
    engine = create_engine(
        address.url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_TIMEOUT,
        pool_recycle=RECYCLE_AFTER,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": wait,
            "write_timeout": wait,
            **tls_arguments(address),
        },
        execution_options={_IDENTITY: identity, _READ_ONLY: statement_timeout is not None},
    )
    ping_after_idling(engine)
    if statement_timeout is not None:
        event.listen(engine, "connect", _prepare_reader(statement_timeout))
    if address.secret_arn is not None:
        event.listen(engine, "do_connect", _login_with(DatabaseSecret(address.secret_arn)))
    return engine


def _prepare_reader(statement_timeout: float) -> Any:
    def prepare(connection: Any, _record: Any) -> None:
        limit = (
            f"max_statement_time = {statement_timeout:f}"
            if "mariadb" in connection.get_server_info().lower()
            else f"max_execution_time = {round(statement_timeout * 1000)}"
        )
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION {limit}")
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.close()

    return prepare


def _login_with(secret: DatabaseSecret) -> Any:
    """Connects as the secret says, and once more as it says now when the server refuses the login."""

    def connect(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        login = secret.login()
        try:
            return dialect.connect(*arguments, **options, **login.arguments())
        except dialect.loaded_dbapi.Error as error:
            if _code(error) != _ACCESS_DENIED:
                raise
            fresh = secret.renewed(login)
            if fresh == login:
                raise
            return dialect.connect(*arguments, **options, **fresh.arguments())

    return connect


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
