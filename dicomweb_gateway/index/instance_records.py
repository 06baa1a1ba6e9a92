"""Rows of our side tables as InstanceRecord values."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.allowed import AllowedStores, in_allowed
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord

_SERIES, _INSTANCE = side.gateway_series, side.gateway_instance
_FRAME, _SET = side.gateway_frame, side.gateway_imageset

_description = lru_cache(maxsize=1024)(PixelDescription)
"""One value for all instances that are laid out alike."""

_ref = lru_cache(maxsize=1024)(ImageSetRef)

_LAYOUT = (
    *(_INSTANCE.c[name] for name in ("rows", "columns", "samples_per_pixel", "bits_allocated")),
    *(_INSTANCE.c[name] for name in ("bits_stored", "high_bit", "pixel_representation")),
    *(_INSTANCE.c[name] for name in ("photometric_interpretation", "planar_configuration")),
    _INSTANCE.c.pixel_keyword,
)
"""In the order of the fields of PixelDescription, but for the number of frames."""
_OUTLINE = (
    *(_SERIES.c[name] for name in ("study_uid", "series_uid")),
    *(_INSTANCE.c[name] for name in ("instance_uid", "transfer_syntax_uid")),
    *(_SET.c[name] for name in ("datastoreid", "imagesetid", "version")),
    select(func.count()).where(_FRAME.c.instance_key == _INSTANCE.c.instance_key).scalar_subquery(),
    *_LAYOUT,
)
_COLUMNS = (
    *(_SERIES.c[name] for name in ("study_uid", "series_uid", "modality")),
    *(column for column in _INSTANCE.c if column.name != "attributes"),
    *(_SET.c[name] for name in ("datastoreid", "imagesetid", "version")),
)


def load_records(
    connection: Connection, allowed: AllowedStores, *conditions: ColumnElement[bool]
) -> Iterator[InstanceRecord]:
    """The active instances of allowed data stores that meet `conditions`, in the order of Q-37.

    That is by InstanceNumber, missing last, then UID.

    Two queries for each portion of instances; the records are made as they are taken.
    """
    query = _selection(_COLUMNS, allowed, conditions)
    for rows in portions(connection.execute(query).all()):
        frames = _frames(connection, [row.instance_key for row in rows])
        for row in rows:
            yield _record(row, frames.get(row.instance_key, ()))


def load_outlines(
    connection: Connection, allowed: AllowedStores, *conditions: ColumnElement[bool]
) -> list[InstanceOutline]:
    """The same instances in the same order, with what metadata need of them; one query."""
    rows = connection.execute(_selection(_OUTLINE, allowed, conditions))
    return [
        InstanceOutline(
            study,
            series,
            uid,
            _ref(store, image_set, str(version)),
            syntax,
            _layout(count, layout),
            count > 0,
        )
        for study, series, uid, syntax, store, image_set, version, count, *layout in rows
    ]


def _selection(
    columns: Sequence[Any], allowed: AllowedStores, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_INSTANCE)
        .join(_SERIES)
        .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
        .where(_SET.c.state == side.ACTIVE, in_allowed(_SET.c.datastoreid, allowed), *conditions)
        .order_by(_INSTANCE.c.instance_order, _INSTANCE.c.instance_uid)
    )


def _layout(frames: int, layout: Sequence[Any]) -> PixelDescription | None:
    *described, keyword = layout
    rows, columns = described[:2]
    if keyword is None or not rows or not columns:
        return None
    return _description(*described, frames, keyword)


def _frames(connection: Connection, keys: Sequence[int]) -> dict[int, list[tuple[str, int | None]]]:
    query = (
        select(_FRAME.c.instance_key, _FRAME.c.frameid, _FRAME.c.checksum)
        .where(_FRAME.c.instance_key.in_(keys))
        .order_by(_FRAME.c.instance_key, _FRAME.c.framenumber)
    )
    frames: dict[int, list[tuple[str, int | None]]] = {}
    for instance_key, frame_id, checksum in connection.execute(query):
        frames.setdefault(instance_key, []).append((frame_id, checksum))
    return frames


def _record(row: Row[Any], frames: Sequence[tuple[str, int | None]]) -> InstanceRecord:
    # thousands of records are held at once, and what is interned is held once for all of a series
    store, image_set, syntax = (
        intern(row.datastoreid),
        intern(row.imagesetid),
        intern(row.transfer_syntax_uid),
    )
    return InstanceRecord(
        study_uid=intern(row.study_uid),
        series_uid=intern(row.series_uid),
        instance_uid=row.instance_uid,
        sop_class_uid=intern(row.sop_class_uid),
        image_set=ImageSetRef(store, image_set, str(row.version)),
        transfer_syntax_uid=syntax,
        pixels=_pixels(row, len(frames)),
        frames=tuple(
            WantedFrame(FrameKey(store, image_set, frame_id), syntax, checksum, row.bytes_per_sample)
            for frame_id, checksum in frames
        ),
        modality=row.modality,
        instance_number=row.instancenumber,
    )


def _pixels(row: Row[Any], frames: int) -> PixelDescription | None:
    if row.pixel_keyword is None or not row.rows or not row.columns:
        return None
    return _description(
        rows=row.rows,
        columns=row.columns,
        samples_per_pixel=row.samples_per_pixel,
        bits_allocated=row.bits_allocated,
        bits_stored=row.bits_stored,
        high_bit=row.high_bit,
        pixel_representation=row.pixel_representation,
        photometric_interpretation=row.photometric_interpretation,
        planar_configuration=row.planar_configuration,
        number_of_frames=frames,
        keyword=row.pixel_keyword,
    )
