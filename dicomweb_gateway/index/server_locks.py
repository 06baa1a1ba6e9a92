"""Locks with names that a database server keeps for all hosts that use it."""

import math
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.errors import GatewayBusy, IndexUnavailable
from dicomweb_gateway.index.engine import index_errors

_LOOK_SECONDS = 1
"""How long the server waits for one lock before we look at the clock again."""
_GRACE = 60
"""Seconds beyond the deadline after which the server lets go of a host that has vanished without a word."""


class ServerLocks:
    """Locks of MySQL and MariaDB (GET_LOCK): a connection of its own holds them as long as it lives.

    So a process that is killed leaves none behind. SQLite is on one host and has none: there, and without
    names, nothing is held.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def alone(self, names: Collection[str], deadline: float) -> Iterator[None]:
        """Nobody else holds one of `names` in this database meanwhile.

        GatewayBusy when somebody does until `deadline` (time.monotonic), IndexUnavailable.
        """
        if not names or self._engine.dialect.name == "sqlite":
            yield
            return
        connection = self._taken(names, deadline)
        try:
            yield
        finally:
            _let_go(connection)

    def _taken(self, names: Collection[str], deadline: float) -> Connection:
        with index_errors():
            connection = self._engine.connect()
            try:
                connection.detach()
                seconds = math.ceil(max(0.0, deadline - time.monotonic())) + _GRACE
                connection.execute(text("SET SESSION wait_timeout = :seconds"), {"seconds": seconds})
                database = connection.execute(text("SELECT DATABASE()")).scalar()
                # in one order, or two wait for each other
                for name in sorted(names):
                    _take(connection, sha256(f"{database} {name}".encode()).hexdigest()[:60], deadline)
            except BaseException:
                _let_go(connection)
                raise
        return connection


def _let_go(connection: Connection) -> None:
    """It was taken out of the pool: the server ends the session, and with it all of its locks."""
    # it may have ended already
    with suppress(DBAPIError):
        connection.close()


def _take(connection: Connection, name: str, deadline: float) -> None:
    """`name`: at most the 64 characters that servers allow; it is one of the whole server."""
    query = text("SELECT GET_LOCK(:name, :seconds)")
    while True:
        left = deadline - time.monotonic()
        answer = connection.execute(query, {"name": name, "seconds": min(_LOOK_SECONDS, max(0.0, left))})
        found = answer.scalar()
        if found == 1:
            return
        if found is None:
            raise IndexUnavailable("the database gives no locks")
        if time.monotonic() >= deadline:
            raise GatewayBusy("another request stores into the same new study")
