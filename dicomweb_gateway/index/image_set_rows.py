"""The image sets that the index knows, and which of two wins (dicomweb.md Q-52)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import insert_row

_TABLE = side.gateway_imageset
_LINKS = side.gateway_imageset_series
_NEVER = datetime.min

Links = set[tuple[int, str]]
"""(image set key, series UID): which series image sets hold."""


class StoredSet(NamedTuple):
    """One row of `gateway_imageset`; `updated_at` is naive UTC."""

    imageset_key: int
    datastoreid: str
    imagesetid: str
    version: int
    is_primary: bool | None
    updated_at: datetime | None
    state: str
    study_uid: str
    study_key: int | None

    @property
    def rank(self) -> tuple[bool, bool, datetime, str]:
        """The larger wins: one that HealthImaging still has, then primary, then the newest, then by id."""
        active = self.state == side.ACTIVE
        return active, bool(self.is_primary), self.updated_at or _NEVER, self.imagesetid

    @property
    def ref(self) -> ImageSetRef:
        """The image set at the version that was indexed."""
        return ImageSetRef(self.datastoreid, self.imagesetid, str(self.version))


def is_set(datastore_id: str, image_set_id: str) -> ColumnElement[bool]:
    """The condition that picks one image set."""
    return and_(_TABLE.c.datastoreid == datastore_id, _TABLE.c.imagesetid == image_set_id)


def find_set(connection: Connection, datastore_id: str, image_set_id: str) -> StoredSet | None:
    """The stored image set, None when the index does not know it."""
    row = connection.execute(_select(is_set(datastore_id, image_set_id))).first()
    return None if row is None else StoredSet(*row)


def lock_studies(connection: Connection, study_uids: Iterable[str]) -> None:
    """Wait until no other indexer writes these studies, and keep others out until the transaction ends."""
    slots = {crc32(uid.encode()) % side.LOCK_SLOTS for uid in study_uids}
    table = side.gateway_lock
    query = select(table.c.slot).where(table.c.slot.in_(sorted(slots))).order_by(table.c.slot)
    connection.execute(query.with_for_update()).all()


def sets_of_study(connection: Connection, study_uid: str) -> dict[int, StoredSet]:
    """All image sets of a study by their key."""
    rows = connection.execute(_select(_TABLE.c.study_uid == study_uid))
    return {row.imageset_key: StoredSet(*row) for row in rows}


def links_of_study(connection: Connection, study_uid: str) -> Links:
    """Those of all image sets of the study."""
    query = (
        select(_LINKS.c.imageset_key, _LINKS.c.series_uid).join(_TABLE).where(_TABLE.c.study_uid == study_uid)
    )
    return {(row.imageset_key, row.series_uid) for row in connection.execute(query)}


def put_set(connection: Connection, known: StoredSet | None, values: dict[str, Any]) -> int:
    """Write one image set's row over `known`, or as a new one; its key."""
    values = {**values, "indexed_at": naive_utc(datetime.now(UTC))}
    if known is not None:
        connection.execute(update(_TABLE).where(_TABLE.c.imageset_key == known.imageset_key).values(values))
        return known.imageset_key
    return insert_row(connection, _TABLE, values)


def put_links(connection: Connection, imageset_key: int, series_uids: list[str]) -> None:
    """Say which series an image set holds."""
    connection.execute(delete(_LINKS).where(_LINKS.c.imageset_key == imageset_key))
    if series_uids:
        rows = [{"imageset_key": imageset_key, "series_uid": uid} for uid in series_uids]
        connection.execute(insert(_LINKS), rows)


def naive_utc(moment: datetime | None) -> datetime | None:
    """`moment` as databases without time zones keep it."""
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def _select(condition: ColumnElement[bool]) -> Any:
    return select(*(_TABLE.c[name] for name in StoredSet._fields)).where(condition)
