"""Rows that are found by the SHA-256 of what opens them, and that end: sessions, and viewers' tickets."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Column, Connection, Engine, Table, delete, insert, select, update

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.engine import is_refusal, lacks_table, reading
from dicomweb_gateway.index.retrying import retried

_AT_ONCE = 100


class SealedRow(Protocol):
    """A dataclass with a field for each column of its table; times in seconds since 1970."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def begun_at(self) -> int:
        """When it was made."""
        ...


Row = TypeVar("Row", bound=SealedRow)


class SealedRows(Generic[Row]):
    """The rows of `kind` in `table`; `crowd` is the column of those that share a bound on their number.

    Safe from any thread; all raise IndexUnavailable, which says `what` cannot be where none may be added.
    """

    def __init__(self, engine: Engine, table: Table, kind: type[Row], crowd: Column[str], what: str) -> None:
        self._engine = engine
        self._table = table
        self._kind = kind
        self._crowd = crowd
        self._what = what

    def _add(
        self,
        row: Row,
        unseen_since: int,
        most: int,
        may_be: Callable[[Connection], bool] = lambda _: True,
    ) -> bool:
        """Keep a new row, and forget those that have ended or were last seen before `unseen_since`.

        Of its crowd `most` stay, those that were seen last. `may_be`, asked in the same transaction, says
        whether it is kept, and so does the answer.
        """
        table, values = self._table, asdict(row)

        def write(connection: Connection) -> bool:
            if not may_be(connection):
                return False
            old = (table.c.ends_at <= row.begun_at) | (table.c.seen_at <= unseen_since)
            connection.execute(delete(table).where(old))
            self._make_room(connection, values[self._crowd.name], most)
            connection.execute(insert(table).values(values))
            return True

        try:
            return retried(self._engine, write)
        except IndexUnavailable as error:
            if is_refusal(error.__cause__) or lacks_table(error.__cause__):
                raise IndexUnavailable(
                    f"{self._what}: the metadata index may not be written, or lacks `db upgrade`"
                ) from error
            raise

    def find(self, digest: str) -> Row | None:
        """The row of that digest; None without one, and where the database never kept any."""
        columns = (self._table.c[field.name] for field in fields(self._kind))
        query = select(*columns).where(self._table.c.digest == digest)
        try:
            with reading(self._engine) as connection:
                found = connection.execute(query).first()
        except IndexUnavailable as error:
            if lacks_table(error.__cause__):
                return None
            raise
        return None if found is None else self._kind(*found)

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that it was seen at that moment; never an earlier one than is known."""
        known = (self._table.c.digest == digest) & (self._table.c.seen_at < seen_at)
        self._write(
            lambda connection: connection.execute(update(self._table).where(known).values(seen_at=seen_at))
        )

    def _write(self, write: Callable[[Connection], Any]) -> None:
        retried(self._engine, write)

    def _make_room(self, connection: Connection, crowd: str, most: int) -> None:
        """End rows of `crowd` so that there may be one more."""
        digest = self._table.c.digest
        latest = select(digest).where(self._crowd == crowd).order_by(self._table.c.seen_at.desc())
        # read first: MySQL takes no limit in the condition of a deletion
        others = connection.scalars(latest.offset(most - 1).limit(_AT_ONCE)).all()
        if others:
            connection.execute(delete(self._table).where(digest.in_(others)))
