"""Lookups in our side tables, in a transaction that the caller holds; only what a sight shows is seen."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Exists, Select, and_, bindparam, exists, func, select

from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.records import SeenFrame
from dicomweb_gateway.index.series_traits import TRAIT_COLUMNS, traits_of
from dicomweb_gateway.index.shown import rows_shown
from dicomweb_gateway.index.traits import traits_of_columns
from dicomweb_gateway.index.variants import has_variants, is_best_instance, ranks
from dicomweb_gateway.sight import Sight

_SERIES, _INSTANCE = side.gateway_series, side.gateway_instance
_FRAME, _SET, _STUDY = side.gateway_frame, side.gateway_imageset, side.gateway_study


_FRAMES = (
    select(_INSTANCE.c.transfer_syntax_uid, _FRAME.c.checksum, _INSTANCE.c.bytes_per_sample, *TRAIT_COLUMNS)
    .select_from(_FRAME)
    .join(_INSTANCE)
    .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
    .join(_SERIES, _SERIES.c.series_key == _INSTANCE.c.series_key)
    .join(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
    .where(
        _FRAME.c.frameid == bindparam("frame_id"),
        _SET.c.datastoreid == bindparam("datastore_id"),
        _SET.c.imagesetid == bindparam("image_set_id"),
        _SET.c.state == side.ACTIVE,
    )
)
"""A frame by the members of its FrameKey: asked for every frame now and then, so it is made once."""

_FRAMES_OF_SET = (
    select(
        _FRAME.c.frameid,
        _INSTANCE.c.transfer_syntax_uid,
        _FRAME.c.checksum,
        _INSTANCE.c.bytes_per_sample,
        _INSTANCE.c.series_key,
    )
    .select_from(_SET)
    .join(_INSTANCE, _INSTANCE.c.imageset_key == _SET.c.imageset_key)
    .join(_FRAME, _FRAME.c.instance_key == _INSTANCE.c.instance_key)
)


class OrderedSeries(NamedTuple):
    """A series in the order of Q-37: by number, missing last, then by UID."""

    order: int
    series_uid: str


def below(study_uid: str, series_uid: str | None) -> ColumnElement[bool]:
    """The condition that picks a study or one series of it."""
    study = _SERIES.c.study_uid == study_uid
    return study if series_uid is None else and_(study, _SERIES.c.series_uid == series_uid)


def study_series(connection: Connection, study_uid: str, sight: Sight) -> list[OrderedSeries]:
    """The series of a study that have instances, in order."""
    query = (
        select(func.min(_SERIES.c.series_order).label("number"), _SERIES.c.series_uid)
        .where(_SERIES.c.study_uid == study_uid, _has_instance(sight))
        .group_by(_SERIES.c.series_uid)
        .order_by("number", _SERIES.c.series_uid)
    )
    return [OrderedSeries(row.number, row.series_uid) for row in connection.execute(query)]


def image_sets(
    connection: Connection, study_uid: str, series_uid: str | None, sight: Sight
) -> list[tuple[ImageSetRef, datetime | None]]:
    """The image sets that give the instances of a study or series, at their indexed versions.

    Of an instance that several variants give that is the best one. With each when HealthImaging changed it
    last (UTC, without zone), None when that is unknown.
    """
    query: Select[Any] = (
        select(_SET.c.datastoreid, _SET.c.imagesetid, _SET.c.version, _SET.c.updated_at)
        .select_from(_INSTANCE)
        .join(_SERIES)
        .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
        .where(_SET.c.state == side.ACTIVE, below(study_uid, series_uid))
        .where(*rows_shown(_SET, _SERIES, sight))
        .group_by(_SET.c.datastoreid, _SET.c.imagesetid, _SET.c.version, _SET.c.updated_at)
        .order_by(func.min(_SERIES.c.series_order), func.min(_SERIES.c.series_uid), _SET.c.imagesetid)
    )
    rows = connection.execute(query).all()
    if len(rows) > 1 and has_variants(connection, "instance"):
        rows = connection.execute(query.where(is_best_instance(sight))).all()
    return [(ImageSetRef(row.datastoreid, row.imagesetid, str(row.version)), row.updated_at) for row in rows]


def known_among(connection: Connection, refs: list[ImageSetRef]) -> set[tuple[str, str]]:
    """(data store, image set) of those of `refs` that our side tables know, whatever their version."""
    ids = [ref.image_set_id for ref in refs]
    query = select(_SET.c.datastoreid, _SET.c.imagesetid).where(_SET.c.imagesetid.in_(ids))
    return {(row.datastoreid, row.imagesetid) for row in connection.execute(query)} if ids else set()


def modalities_with_pixels(connection: Connection, study_uid: str, sight: Sight) -> dict[str, str | None]:
    """The series of a study that have pixels, and their modalities by the best image set that gives such."""
    pixels = _has_instance(sight).where(_INSTANCE.c.pixel_keyword.is_not(None))
    query = select(_SERIES.c.series_uid, _SERIES.c.modality).where(_SERIES.c.study_uid == study_uid, pixels)
    query = query.outerjoin(_SET, _SET.c.imageset_key == _SERIES.c.imageset_key).order_by(*ranks(_SET))
    return {row.series_uid: row.modality for row in connection.execute(query)}


def frames(connection: Connection, datastore_id: str, image_set_id: str, frame_id: str) -> list[SeenFrame]:
    """A frame of an image set, whoever may see it, once for each instance that has it.

    None of what is unknown, and of an image set that HealthImaging no longer has.
    """
    key = FrameKey(datastore_id, image_set_id, frame_id)
    return [
        SeenFrame(WantedFrame(key, syntax, checksum, size), traits_of_columns(values))
        for syntax, checksum, size, *values in connection.execute(_FRAMES, key._asdict())
    ]


def frames_of_set(
    connection: Connection, datastore_id: str, image_set_id: str, most: int
) -> dict[str, list[SeenFrame]]:
    """`frames` of an image set by their ids, `most` rows of them at most."""
    query = _FRAMES_OF_SET.where(_SET.c.datastoreid == datastore_id, _SET.c.imagesetid == image_set_id)
    query = query.where(_SET.c.state == side.ACTIVE)
    rows = connection.execute(query.limit(most)).all()
    traits = traits_of(connection, {row.series_key for row in rows})
    found: dict[str, list[SeenFrame]] = {}
    for frame_id, syntax, checksum, size, series_key in rows:
        # a series that went between the two statements is shown to nobody
        if series_key in traits:
            key = FrameKey(datastore_id, image_set_id, frame_id)
            seen = SeenFrame(WantedFrame(key, syntax, checksum, size), traits[series_key])
            found.setdefault(frame_id, []).append(seen)
    return found


def _has_instance(sight: Sight) -> Exists:
    """The condition that a series has an instance that is served."""
    active = and_(_INSTANCE.c.imageset_key == _SET.c.imageset_key, _SET.c.state == side.ACTIVE)
    served = and_(active, *rows_shown(_SET, _SERIES, sight))
    return exists().where(_INSTANCE.c.series_key == _SERIES.c.series_key, served).correlate(_SERIES)
