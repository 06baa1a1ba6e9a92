"""Looks through the AWS tables for rows that our side tables do not know, and notes how far it came.

Searches compare only what came later (`seen_tables.py`). Keys are given out before their rows are committed,
so a row may appear behind others; what is looked at is therefore read with a lock, which waits for writers
that are under way, and never reaches beyond the newest row of the time before.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, delete, exists, func, insert, literal, select, update
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.engine import index_errors, is_contention, writing
from dicomweb_gateway.index.image_set_rows import naive_utc
from dicomweb_gateway.index.seen_tables import IMAGE_SET, INSTANCE, gateway_seen, gateway_unknown_row
from dicomweb_gateway.index.unknown_rows import UNKNOWN_OF

PORTION = 20_000
"""Rows that are looked at in one transaction."""

LAG = timedelta(seconds=2)
"""How old the newest row of the time before must be: longer than a key waits for its row."""

MOST_PORTIONS = 50
"""Portions of one call: a few seconds."""

MOST_NOTED = 5000
"""Unknown rows that are noted: where most are unknown, searches find some soon enough by themselves."""

_TABLES = {IMAGE_SET: aws.imageset, INSTANCE: aws.instance}


def look_on(engine: Engine) -> bool:
    """Go on to the newest row of the call before; whether another call, LAG later, would come further.

    SQLite, which the Lambda cannot write, needs none of it. Where a writer is in the way the rest is left
    for the next call. Raises IndexUnavailable.
    """
    if engine.dialect.name == "sqlite":
        return False
    left = False
    with index_errors():
        for kind, table in _TABLES.items():
            try:
                left = _look_on(engine, kind, table) or left
            except DBAPIError as error:
                if not is_contention(error):
                    raise
                left = True
    return left


def note_instances(connection: Connection, instance_uids: Iterable[str]) -> None:
    """Note those of instances that leave our tables whose rows the AWS Lambda has taken over meanwhile.

    Within the transaction that removes them. Rows that `look_on` has yet to reach need no note.
    """
    uids = list(instance_uids)
    if not uids or connection.dialect.name == "sqlite":
        return
    seen = select(gateway_seen.c.upto).where(gateway_seen.c.kind == INSTANCE).with_for_update(read=True)
    upto = connection.execute(seen).scalar() or 0
    table, note = aws.instance, gateway_unknown_row
    noted = exists().where(note.c.kind == INSTANCE, note.c.pkey == table.c.instance_pkey)
    for some in portions(uids):
        rows = select(literal(INSTANCE), table.c.instance_pkey).where(
            table.c.sopinstanceuid.in_(some),
            table.c.instance_pkey <= upto,
            UNKNOWN_OF[INSTANCE],
            ~noted,
        )
        connection.execute(insert(note).from_select(["kind", "pkey"], rows))


def _look_on(engine: Engine, kind: str, table: Table) -> bool:
    pkey = table.c[f"{table.name}_pkey"]
    with writing(engine) as connection:
        _forget_known(connection, kind, table)
        newest = connection.execute(select(func.coalesce(func.max(pkey), 0))).scalar_one()
        row = connection.execute(select(gateway_seen).where(gateway_seen.c.kind == kind)).first()
        if row is None:
            values = {"kind": kind, "upto": 0, "next_upto": newest, "noted_at": _now()}
            connection.execute(insert(gateway_seen), values)
            return bool(newest)
    try:
        return _go_on(engine, kind, table, row, newest)
    except _OvertakenError:
        return True


class _OvertakenError(Exception):
    """Somebody else looks on: the rest is theirs."""


def _go_on(engine: Engine, kind: str, table: Table, row: Row[Any], newest: int) -> bool:
    upto = row.upto
    if _now() - row.noted_at >= LAG:
        for _ in range(MOST_PORTIONS):
            if upto >= row.next_upto:
                break
            last = min(upto + PORTION, row.next_upto)
            if not _look_through(engine, kind, table, (upto, last, row.next_upto)):
                return False
            upto = last
    if upto >= row.next_upto and newest > upto:
        with writing(engine) as connection:
            _keep_others_out(connection, kind, upto, row.next_upto)
            _put(connection, kind, next_upto=newest, noted_at=_now())
    return bool(newest > upto)


def _keep_others_out(connection: Connection, kind: str, upto: int, next_upto: int) -> None:
    """Until the transaction ends; raises _OvertakenError where somebody else has looked on meanwhile."""
    query = select(gateway_seen).where(gateway_seen.c.kind == kind).with_for_update()
    row = connection.execute(query).one()
    if (row.upto, row.next_upto) != (upto, next_upto):
        raise _OvertakenError


def _look_through(engine: Engine, kind: str, table: Table, reach: tuple[int, int, int]) -> bool:
    """Note the unknown rows among some; False, and nothing done, where they become too many to note.

    `reach`: the rows behind which and up to which to look, and the newest row of the call before.
    """
    after, upto, next_upto = reach
    pkey = table.c[f"{table.name}_pkey"]
    within = pkey > after, pkey <= upto
    noted = select(func.count()).where(gateway_unknown_row.c.kind == kind)
    with writing(engine) as connection:
        _keep_others_out(connection, kind, after, next_upto)
        # the lock is all that this is read for
        connection.execute(select(func.count(pkey)).where(*within).with_for_update(read=True))
        unknown = connection.execute(select(func.count(pkey)).where(*within, UNKNOWN_OF[kind])).scalar_one()
        if unknown and unknown + connection.execute(noted).scalar_one() > MOST_NOTED:
            return False
        rows = select(literal(kind), pkey).where(*within, UNKNOWN_OF[kind])
        connection.execute(insert(gateway_unknown_row).from_select(["kind", "pkey"], rows))
        _put(connection, kind, upto=upto)
    return True


def _forget_known(connection: Connection, kind: str, table: Table) -> None:
    """Drop notes of rows that are known by now, or gone."""
    pkey = table.c[f"{table.name}_pkey"]
    noted = select(gateway_unknown_row.c.pkey).where(gateway_unknown_row.c.kind == kind)
    still = select(pkey).where(pkey.in_(noted), UNKNOWN_OF[kind])
    known = set(connection.execute(noted).scalars()) - set(connection.execute(still).scalars())
    for keys in portions(sorted(known)):
        rows = gateway_unknown_row.c.pkey.in_(keys)
        connection.execute(delete(gateway_unknown_row).where(gateway_unknown_row.c.kind == kind, rows))


def _put(connection: Connection, kind: str, **values: Any) -> None:
    connection.execute(update(gateway_seen).where(gateway_seen.c.kind == kind).values(values))


def _now() -> datetime:
    return naive_utc(datetime.now(UTC)) or datetime.min
