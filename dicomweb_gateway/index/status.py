"""What `index status` tells: how much the index holds, in which state, and where image sets overlap."""

from typing import Any

from sqlalchemy import Engine, func, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.ledger_tables import gateway_failure, gateway_tombstone
from dicomweb_gateway.index.mains import totals
from dicomweb_gateway.index.unknown_rows import number_of_unknown_sets

CONFLICTS_SHOWN = 20
"""Series held by several image sets that are named one by one."""


def index_status(engine: Engine) -> dict[str, Any]:
    """Numbers of `studies`, `series`, `instances`, `failures`, `tombstones`; `image_sets` by state.

    `conflicts` is the number of series that several image sets hold, `conflicting` names the first of them
    with their image sets (dicomweb.md Q-52 says which wins). `only_by_lambda` counts image sets that only the
    AWS Lambda has indexed. Raises IndexUnavailable.
    """
    sets, links = side.gateway_imageset, side.gateway_imageset_series
    with reading(engine) as connection:
        numbers: dict[str, Any] = dict(totals(connection))
        states = select(sets.c.state, func.count()).group_by(sets.c.state)
        numbers["image_sets"] = {row[0]: row[1] for row in connection.execute(states)}
        several = select(links.c.series_uid).group_by(links.c.series_uid).having(func.count() > 1).subquery()
        numbers["conflicts"] = connection.execute(select(func.count()).select_from(several)).scalar_one()
        for name, table in (("failures", gateway_failure), ("tombstones", gateway_tombstone)):
            numbers[name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
        shown = select(several.c.series_uid).order_by(several.c.series_uid).limit(CONFLICTS_SHOWN)
        uids = list(connection.execute(shown).scalars())
        query = (
            select(links.c.series_uid, sets.c.datastoreid, sets.c.imagesetid, sets.c.is_primary)
            .join(sets, sets.c.imageset_key == links.c.imageset_key)
            .where(links.c.series_uid.in_(uids))
            .order_by(links.c.series_uid, sets.c.is_primary.desc(), sets.c.updated_at.desc())
        )
        conflicting: dict[str, list[str]] = {}
        for row in connection.execute(query):
            kind = " (primary)" if row.is_primary else ""
            conflicting.setdefault(row.series_uid, []).append(f"{row.datastoreid}/{row.imagesetid}{kind}")
        numbers["conflicting"] = conflicting
        numbers["only_by_lambda"] = number_of_unknown_sets(connection)
    return numbers
