"""Rows of our side tables as InstanceRecord values."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from sys import intern
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.image_set_rows import sets_of_study
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord
from dicomweb_gateway.index.series_traits import traits_of
from dicomweb_gateway.index.shown import rows_shown
from dicomweb_gateway.sight import Sight, Traits

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
    _INSTANCE.c.instance_uid,
    *(_SET.c[name] for name in ("datastoreid", "imagesetid", "version")),
    _INSTANCE.c.transfer_syntax_uid,
    select(func.count()).where(_FRAME.c.instance_key == _INSTANCE.c.instance_key).scalar_subquery(),
    *_LAYOUT,
)
_OWN = 3
"""The first columns of an outline, which are an instance's alone: the UIDs."""
_MOST_ALIKE = 256
_Common = tuple[ImageSetRef, str, PixelDescription | None, bool]
_COLUMNS = (
    _INSTANCE.c.instance_key,
    _SERIES.c.series_key,
    *(_SERIES.c[name] for name in ("study_uid", "series_uid", "modality")),
    *(_INSTANCE.c[name] for name in ("instance_uid", "sop_class_uid", "instancenumber")),
    *(_INSTANCE.c[name] for name in ("bytes_per_sample", "transfer_syntax_uid")),
    *(_SET.c[name] for name in ("datastoreid", "imagesetid", "version")),
    *_LAYOUT,
)
"""In the order of what `_record` takes after what is not of the row, the first two apart."""


def load_records(
    connection: Connection,
    sight: Sight,
    series: ColumnElement[bool],
    *conditions: ColumnElement[bool],
    with_traits: bool = False,
) -> Iterator[InstanceRecord]:
    """The active instances of one series that `sight` shows and that meet `conditions`, in the order of Q-37.

    That is by InstanceNumber, missing last, then UID.

    Two queries for each portion of instances, and with traits one for all; the records are made as they
    are taken.
    """
    # asked once, not of each row
    number = select(func.count(_SERIES.c.series_key)).where(series).correlate(None).scalar_subquery()
    query = _selection((*_COLUMNS, number), sight, (series, *conditions))
    found = _each_once(connection, connection.execute(query).all())
    traits = traits_of(connection, {row[1] for row in found}) if with_traits else {}
    for rows in portions(found):
        frames = _frames(connection, [row[0] for row in rows])
        for row in rows:
            yield _record(frames.get(row[0], ()), traits.get(row[1]), row[-1] > 1, *row[2:-1])


def load_outlines(
    connection: Connection, sight: Sight, *conditions: ColumnElement[bool]
) -> list[InstanceOutline]:
    """The same instances in the same order, with what metadata need of them; one query."""
    rows = _each_once(connection, connection.execute(_selection(_OUTLINE, sight, conditions)).all())
    alike: dict[tuple[Any, ...], _Common] = {}
    outlines: list[InstanceOutline] = []
    for row in rows:
        # slicing a tuple is several times faster than slicing a row
        values = tuple(row)
        rest = values[_OWN:]
        common = alike.get(rest)
        if common is None:
            if len(alike) >= _MOST_ALIKE:
                alike.clear()
            common = alike[rest] = _common(*rest)
        outlines.append(InstanceOutline._make(values[:_OWN] + common))
    return outlines


def _common(store: str, image_set: str, version: object, syntax: str, count: int, *layout: Any) -> _Common:
    """What instances that are laid out alike in one image set have in common."""
    return _ref(store, image_set, str(version)), syntax, _layout(count, layout), count > 0


def _selection(
    columns: Sequence[Any], sight: Sight, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_INSTANCE)
        .join(_SERIES)
        .join(_SET, _SET.c.imageset_key == _INSTANCE.c.imageset_key)
        .where(_SET.c.state == side.ACTIVE, *rows_shown(_SET, _SERIES, sight), *conditions)
        .order_by(_INSTANCE.c.instance_order, _INSTANCE.c.instance_uid)
    )


def _each_once(connection: Connection, rows: Sequence[Any]) -> Sequence[Any]:
    """Rows of one study: of an instance that several variants give, that of the best image set (Q-52)."""
    uids = map(itemgetter(rows[0]._fields.index("instance_uid")), rows) if rows else ()
    if len(set(uids)) == len(rows):
        return rows
    sets = sets_of_study(connection, rows[0].study_uid).values()
    ranks = {(one.datastoreid, one.imagesetid): one.rank for one in sets}
    best: dict[tuple[str, str], Any] = {}
    for row in rows:
        path = row.series_uid, row.instance_uid
        known = best.get(path)
        if known is None or ranks[_set_of(row)] > ranks[_set_of(known)]:
            best[path] = row
    return [row for row in rows if best[row.series_uid, row.instance_uid] is row]


def _set_of(row: Any) -> tuple[str, str]:
    return row.datastoreid, row.imagesetid


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


def _record(
    frames: Sequence[tuple[str, int | None]],
    traits: Traits | None,
    is_shared: bool,
    study: str,
    series: str,
    modality: str | None,
    instance: str,
    sop_class: str,
    number: int | None,
    bytes_per_sample: int,
    syntax: str,
    store: str,
    image_set: str,
    version: object,
    *layout: Any,
) -> InstanceRecord:
    # thousands of records are held at once, and what is interned is held once for all of a series
    store, image_set, syntax = intern(store), intern(image_set), intern(syntax)
    return InstanceRecord(
        study_uid=intern(study),
        series_uid=intern(series),
        instance_uid=instance,
        sop_class_uid=intern(sop_class),
        image_set=_ref(store, image_set, str(version)),
        transfer_syntax_uid=syntax,
        pixels=_layout(len(frames), layout),
        frames=tuple(
            WantedFrame(FrameKey(store, image_set, frame_id), syntax, checksum, bytes_per_sample)
            for frame_id, checksum in frames
        ),
        modality=modality,
        instance_number=number,
        traits=traits,
        is_shared=is_shared,
    )
