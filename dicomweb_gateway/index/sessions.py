"""Sessions of browsers in the database: one row each, found by the SHA-256 of its id."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.engine import is_refusal, lacks_table, reading
from dicomweb_gateway.index.retrying import retried
from dicomweb_gateway.index.side_tables import gateway_session as _TABLE


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`digest` and `owner`: SHA-256 in hexadecimal; `content`: sealed text; times in seconds since 1970."""

    digest: str
    owner: str
    content: str
    begun_at: int
    seen_at: int
    ends_at: int


_NAMES = tuple(field.name for field in fields(SessionRow))
_MOST = 1000
"""Sessions of an owner: who logs in again and again must not fill the database. Many may share a user."""
_AT_ONCE = 100


class SqlSessions:
    """The sessions in the database of `engine`; safe from any thread. All raise IndexUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, row: SessionRow, unseen_since: int) -> None:
        """Keep a new session, and forget those that have ended or were last seen before `unseen_since`.

        Of its owner's 1,000 stay, those that were seen last.
        """

        def write(connection: Connection) -> None:
            old = (_TABLE.c.ends_at <= row.begun_at) | (_TABLE.c.seen_at <= unseen_since)
            connection.execute(delete(_TABLE).where(old))
            _make_room(connection, row.owner)
            connection.execute(insert(_TABLE).values(dict(zip(_NAMES, astuple(row), strict=True))))

        try:
            retried(self._engine, write)
        except IndexUnavailable as error:
            if is_refusal(error.__cause__) or lacks_table(error.__cause__):
                raise IndexUnavailable(
                    "nobody can log in: the metadata index may not be written, or lacks `db upgrade`"
                ) from error
            raise

    def find(self, digest: str) -> SessionRow | None:
        """The session of that digest; None without one, and where the database never kept any."""
        query = select(*(_TABLE.c[name] for name in _NAMES)).where(_TABLE.c.digest == digest)
        try:
            with reading(self._engine) as connection:
                found = connection.execute(query).first()
        except IndexUnavailable as error:
            if lacks_table(error.__cause__):
                return None
            raise
        return None if found is None else SessionRow(*found)

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that it was seen at that moment; never an earlier one than is known."""
        known = (_TABLE.c.digest == digest) & (_TABLE.c.seen_at < seen_at)
        self._write(
            lambda connection: connection.execute(update(_TABLE).where(known).values(seen_at=seen_at))
        )

    def remove(self, digest: str) -> None:
        """End it."""
        self._write(lambda connection: connection.execute(delete(_TABLE).where(_TABLE.c.digest == digest)))

    def remove_of(self, owner: str) -> None:
        """End all of an owner."""
        self._write(lambda connection: connection.execute(delete(_TABLE).where(_TABLE.c.owner == owner)))

    def _write(self, write: Callable[[Connection], Any]) -> None:
        retried(self._engine, write)


def _make_room(connection: Connection, owner: str) -> None:
    """End sessions of `owner` so that there may be one more."""
    latest = select(_TABLE.c.digest).where(_TABLE.c.owner == owner).order_by(_TABLE.c.seen_at.desc())
    # read first: MySQL takes no limit in the condition of a deletion
    others = connection.scalars(latest.offset(_MOST - 1).limit(_AT_ONCE)).all()
    if others:
        connection.execute(delete(_TABLE).where(_TABLE.c.digest.in_(others)))
