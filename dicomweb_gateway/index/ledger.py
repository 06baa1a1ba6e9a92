"""The indexer's own books: image sets that failed, and the last synchronisation of each data store."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select, update

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.image_set_rows import naive_utc
from dicomweb_gateway.index.ledger_tables import REASON_LENGTH, gateway_failure, gateway_sync
from dicomweb_gateway.index.retrying import retried
from dicomweb_gateway.index.tombstones import clear_old


class Failure(NamedTuple):
    """An image set that could not be indexed; moments are naive UTC, `version` None when not known."""

    datastoreid: str
    imagesetid: str
    version: int | None
    reason: str
    attempts: int
    first_at: datetime
    last_at: datetime


class SyncRun(NamedTuple):
    """The last synchronisation of a data store; `completed_at` None when it was broken off."""

    datastoreid: str
    started_at: datetime
    completed_at: datetime | None
    indexed: int
    unchanged: int
    removed: int
    failed: int


def note_failure(engine: Engine, ref: ImageSetRef, reason: str) -> None:
    """Count one more failed attempt at an image set. Raises IndexUnavailable."""
    table, now = gateway_failure, naive_utc(datetime.now(UTC))
    version = int(ref.version_id) if ref.version_id else None
    values = {"version": version, "reason": reason[:REASON_LENGTH], "last_at": now}

    def write(connection: Connection) -> None:
        again = update(table).where(_is(ref)).values(**values, attempts=table.c.attempts + 1)
        if connection.execute(again).rowcount == 0:
            row = {"datastoreid": ref.datastore_id, "imagesetid": ref.image_set_id, "first_at": now}
            connection.execute(insert(table).values(**row, **values, attempts=1))

    retried(engine, write)


def forget_failure(connection: Connection, datastore_id: str, image_set_id: str) -> None:
    """An image set was indexed or removed: nothing is left to be tried again."""
    connection.execute(delete(gateway_failure).where(_is(ImageSetRef(datastore_id, image_set_id))))


def failures(engine: Engine) -> list[Failure]:
    """All image sets that could not be indexed, the longest waiting first."""
    table = gateway_failure
    query = select(*(table.c[name] for name in Failure._fields))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(table.c.first_at, table.c.imagesetid))
        return [Failure(*row) for row in rows]


def sync_started(engine: Engine, datastore_id: str) -> None:
    """Note that a synchronisation begins. Raises IndexUnavailable."""
    table = gateway_sync
    numbers = {"indexed": 0, "unchanged": 0, "removed": 0, "failed": 0}
    row = {"datastoreid": datastore_id, "started_at": naive_utc(datetime.now(UTC)), **numbers}

    def write(connection: Connection) -> None:
        connection.execute(delete(table).where(table.c.datastoreid == datastore_id))
        connection.execute(insert(table).values(row))

    retried(engine, write)


def sync_completed(engine: Engine, datastore_id: str, numbers: dict[str, int]) -> None:
    """Note that it ended, with its `indexed`, `unchanged`, `removed` and `failed`; old tombstones go."""
    table = gateway_sync
    values: dict[str, Any] = {"completed_at": naive_utc(datetime.now(UTC)), **numbers}

    def write(connection: Connection) -> None:
        connection.execute(update(table).where(table.c.datastoreid == datastore_id).values(values))
        clear_old(connection)

    retried(engine, write)


def sync_runs(engine: Engine) -> list[SyncRun]:
    """The last synchronisation of every data store."""
    query = select(*(gateway_sync.c[name] for name in SyncRun._fields))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(gateway_sync.c.datastoreid))
        return [SyncRun(*row) for row in rows]


def _is(ref: ImageSetRef) -> Any:
    table = gateway_failure
    return (table.c.datastoreid == ref.datastore_id) & (table.c.imagesetid == ref.image_set_id)
