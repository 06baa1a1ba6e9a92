"""Instances that left the index: remembered for a while, so that they are answered 410 (dicomweb.md W-10)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from dicomweb_gateway.errors import ResourceGone, ResourceNotFound
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.image_set_rows import naive_utc
from dicomweb_gateway.index.ledger_tables import gateway_tombstone as _TABLE

KEPT = timedelta(days=30)
"""How long a removed instance answers 410 instead of 404."""


def bury(connection: Connection, study_uid: str, held: Iterable[tuple[str, str]]) -> None:
    """Remember instances as removed now; `held` are (series UID, instance UID) pairs of the study.

    An instance that is indexed again needs no word: tombstones are read only where the index has nothing.
    """
    now = naive_utc(datetime.now(UTC))
    by_series: dict[str, list[str]] = {}
    for series_uid, instance_uid in held:
        by_series.setdefault(series_uid, []).append(instance_uid)
    for series_uid, instance_uids in by_series.items():
        place = {"study_uid": study_uid, "series_uid": series_uid}
        for uids in portions(instance_uids):
            connection.execute(delete(_TABLE).filter_by(**place).where(_TABLE.c.instance_uid.in_(uids)))
            rows = [{**place, "instance_uid": uid, "removed_at": now} for uid in uids]
            connection.execute(insert(_TABLE), rows)


def missing(
    connection: Connection, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
) -> ResourceNotFound:
    """The error for something that the index does not hold: ResourceGone where it did not long ago."""
    names = {"study": study_uid, "series": series_uid, "instance": instance_uid}
    given = {level: uid for level, uid in names.items() if uid is not None}
    text = " of ".join(f"{level} {uid}" for level, uid in reversed(given.items()))
    conditions = {f"{level}_uid": uid for level, uid in given.items()}
    since = naive_utc(datetime.now(UTC) - KEPT)
    query = select(_TABLE.c.removed_at).filter_by(**conditions).where(_TABLE.c.removed_at >= since).limit(1)
    if connection.execute(query).first() is not None:
        return ResourceGone(f"{text} was deleted")
    return ResourceNotFound(f"no {text}")


def clear_old(connection: Connection) -> None:
    """Forget instances that were removed longer ago than KEPT."""
    since = naive_utc(datetime.now(UTC) - KEPT)
    connection.execute(delete(_TABLE).where(_TABLE.c.removed_at < since))
