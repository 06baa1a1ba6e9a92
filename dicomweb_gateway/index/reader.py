"""Lookups for retrieval: UIDs to image sets, frames and pixel layout, the whole path checked (C-6)."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, func, select, update

from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index import mains
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.engine import index_errors, reading, writing
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.image_set_rows import is_set
from dicomweb_gateway.index.instance_records import load_records
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.index.tombstones import missing

_SERIES, _INSTANCE = side.gateway_series, side.gateway_instance
_FRAME, _SET = side.gateway_frame, side.gateway_imageset

HOT_BUDGET = 50_000
"""Instances and frames kept for hot lookups, about 300 bytes each."""

NOT_PICTURES = (
    "SR",
    "PR",
    "SEG",
    "KO",
    "RTSTRUCT",
    "RTPLAN",
    "RTRECORD",
    "RTDOSE",
    "DOC",
    "REG",
    "AU",
    "ECG",
)
"""Modalities that represent a study only when nothing else does (dicomweb.md R-14)."""


class IndexReader:
    """Reads the side tables; every method raises IndexUnavailable when the database does not answer.

    What was deleted not long ago raises ResourceGone where ResourceNotFound is said below.

    `cache_seconds`: how old the answer of `instance` may be. Rows that only the AWS Lambda wrote are not
    seen here.
    """

    def __init__(self, engine: Engine, cache_seconds: float = 10) -> None:
        self._engine = engine
        self._hot: HotMap[InstanceRecord] = HotMap(cache_seconds, HOT_BUDGET, _weight)

    def instance(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        """One instance; ResourceNotFound when it does not exist there or HealthImaging lost it."""
        path = (study_uid, series_uid, instance_uid)
        return self._hot.get(path, lambda: self._load_instance(*path))

    def series_instances(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        """All instances of a series by InstanceNumber, missing last, then UID; ResourceNotFound if none."""
        with reading(self._engine) as connection:
            records = list(load_records(connection, _below(study_uid, series_uid)))
            if not records:
                raise missing(connection, study_uid, series_uid)
        return records

    def study_instances(self, study_uid: str) -> Iterator[InstanceRecord]:
        """All instances of a study, series by SeriesNumber, missing last, then UID.

        ResourceNotFound, at once, when there are none. One series is held in memory at a time and no
        connection is kept between two of them, so a slow reader blocks nothing.
        """
        series_uids = self.study_series(study_uid)
        return self._each_series(study_uid, series_uids)

    def study_series(self, study_uid: str) -> list[str]:
        """UIDs of the series that have instances, in that order; ResourceNotFound when there are none."""
        query = (
            select(_SERIES.c.series_uid)
            .where(_SERIES.c.study_uid == study_uid, _has_instances())
            .group_by(_SERIES.c.series_uid)
            .order_by(func.min(_SERIES.c.series_order), _SERIES.c.series_uid)
        )
        with reading(self._engine) as connection:
            uids = list(connection.execute(query).scalars())
            if not uids:
                raise missing(connection, study_uid)
        return uids

    def image_sets(self, study_uid: str, series_uid: str | None = None) -> list[ImageSetRef]:
        """The image sets that give the instances of a study or series; ResourceNotFound if none."""
        query: Select[Any] = (
            select(_SET.c.datastoreid, _SET.c.imagesetid, _SET.c.version)
            .select_from(_INSTANCE)
            .join(_SERIES)
            .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
            .where(_SET.c.state == side.ACTIVE, _below(study_uid, series_uid))
            .group_by(_SET.c.datastoreid, _SET.c.imagesetid, _SET.c.version)
            .order_by(func.min(_SERIES.c.series_order), func.min(_SERIES.c.series_uid), _SET.c.imagesetid)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            if not rows:
                raise missing(connection, study_uid, series_uid)
        return [ImageSetRef(row.datastoreid, row.imagesetid, str(row.version)) for row in rows]

    def first_series_with_images(self, study_uid: str) -> str:
        """The series to show for a study: the first with pixels and of a picture modality (R-14).

        Falls back to any series with pixels, then to the first series; ResourceNotFound for no study.
        """
        uids = self.study_series(study_uid)
        pixels = exists().where(
            _INSTANCE.c.series_key == _SERIES.c.series_key, _INSTANCE.c.pixel_keyword.is_not(None)
        )
        query = select(_SERIES.c.series_uid, _SERIES.c.modality).where(
            _SERIES.c.study_uid == study_uid, pixels
        )
        with reading(self._engine) as connection:
            shown = {row.series_uid: row.modality for row in connection.execute(query)}
        candidates = [uid for uid in uids if uid in shown]
        pictures = [uid for uid in candidates if _is_picture(shown[uid] or "")]
        return (pictures or candidates or uids)[0]

    def image_set_of_frame(self, datastore_id: str, image_set_id: str, frame_id: str) -> WantedFrame | None:
        """What the index knows of a frame, None when it does not know it in that image set."""
        query = (
            select(_INSTANCE.c.transfer_syntax_uid, _FRAME.c.checksum, _INSTANCE.c.bytes_per_sample)
            .select_from(_FRAME)
            .join(_INSTANCE)
            .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
            .where(_FRAME.c.frameid == frame_id, is_set(datastore_id, image_set_id))
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else WantedFrame(FrameKey(datastore_id, image_set_id, frame_id), *row)

    def mark_stale(self, image_set: ImageSetRef) -> None:
        """Note that HealthImaging no longer has an image set: its instances are 404 from now on.

        They stay in searches until the next synchronisation removes them or indexes them again.
        """
        table = side.gateway_imageset
        condition = is_set(image_set.datastore_id, image_set.image_set_id)
        with index_errors(), writing(self._engine) as connection:
            connection.execute(update(table).where(condition).values(state=side.STALE))
        self._hot.clear()

    def ping(self) -> None:
        """IndexUnavailable unless the database answers and has our tables."""
        with reading(self._engine) as connection:
            connection.execute(select(_SET.c.imageset_key).limit(1)).all()

    def counts(self) -> dict[str, int]:
        """Numbers of `studies`, `series` and `instances`."""
        with reading(self._engine) as connection:
            return mains.totals(connection)

    def _load_instance(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        path = and_(_INSTANCE.c.instance_uid == instance_uid, _below(study_uid, series_uid))
        with reading(self._engine) as connection:
            records = list(load_records(connection, path))
            if not records:
                raise missing(connection, study_uid, series_uid, instance_uid)
        return records[0]

    def _each_series(self, study_uid: str, series_uids: list[str]) -> Iterator[InstanceRecord]:
        for series_uid in series_uids:
            with reading(self._engine) as connection:
                records = list(load_records(connection, _below(study_uid, series_uid)))
            yield from records


def _below(study_uid: str, series_uid: str | None) -> ColumnElement[bool]:
    study = _SERIES.c.study_uid == study_uid
    return study if series_uid is None else and_(study, _SERIES.c.series_uid == series_uid)


def _has_instances() -> ColumnElement[bool]:
    active = and_(_INSTANCE.c.imageset_key == _SET.c.imageset_key, _SET.c.state == side.ACTIVE)
    return exists().where(_INSTANCE.c.series_key == _SERIES.c.series_key, active)


def _is_picture(modality: str) -> bool:
    return modality not in NOT_PICTURES and not modality.startswith("RT")


def _weight(record: InstanceRecord) -> int:
    return 1 + len(record.frames)
