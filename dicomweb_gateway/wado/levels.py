"""Resolution levels of one stored frame, sliced from the frame store (healthimaging.md 7.1; F-11)."""

from collections.abc import Sequence

from dicomweb_gateway.errors import ResourceNotFound, UpstreamNotFound
from dicomweb_gateway.frames.stored_frame import FrameInMemory, StoredFrame
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.tlm.levels import levels_between
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import FrameSlice, read_segment

_NAMESPACE = "level0"
MAX_FIRST_LEVEL = 1 << 20
"""Bytes of a level 0 that is worth holding in memory; a frame without levels is its own level 0."""


def codestream_levels(
    bounds: Sequence[int], frame: FrameSlice, start: int | None, end: int | None
) -> FrameSlice:
    """Levels `start` to `end` (0-based, included) of `frame`, the bare codestream of a stored frame (F-6).

    `bounds` are the stored frame's (`tlm.levels.level_bounds`). All levels put together are `frame`; past the
    last level clamps or is empty. Raises InvalidRequest for a frame without levels.
    """
    first, last = levels_between(bounds, start, end)
    first, last = max(first, frame.start), min(last, frame.start + frame.length)
    return FrameSlice(frame.frame, first, max(0, last - first))


def level_ends(bounds: Sequence[int], frame: FrameSlice) -> tuple[int, ...]:
    """Where each level ends within `frame`, the bare codestream of a stored frame that has `bounds`.

    Empty for a frame of one level: there is nothing to choose.
    """
    return tuple(bound - frame.start for bound in bounds[1:]) if len(bounds) > 2 else ()


def known_frame(archive: Archive, key: FrameKey) -> WantedFrame:
    """What the index knows of a frame; ResourceNotFound for a frame that is in no indexed image set.

    Nothing else reaches HealthImaging with our credentials.
    """
    wanted = archive.index.image_set_of_frame(*key)
    if wanted is None:
        raise ResourceNotFound("the index knows no such frame in this data store and image set")
    return wanted


def frame_levels(
    archive: Archive, wanted: WantedFrame, start: int | None, end: int | None
) -> FrameSlice | bytes:
    """The bytes of levels `start` to `end` (0-based, included) of a frame; without either all of it.

    `wanted` is what the caller may see (`known_frame`). InvalidRequest for levels of a frame that has none,
    ResourceNotFound when HealthImaging lost it.
    """
    if end == 0 and not start:
        return _first_level(archive, wanted)
    stored = _stored(archive, wanted)
    if start is None and end is None:
        return FrameSlice(stored, 0, stored.length)
    first, last = levels_between(archive.levels.of(wanted.key, stored), start, end)
    return FrameSlice(stored, first, last - first)


def _first_level(archive: Archive, wanted: WantedFrame) -> FrameSlice | bytes:
    """Level 0: from memory where it was asked before, from another host where that has it and this not."""
    known = archive.first_levels.get(wanted.key)
    if known is not None:
        return known
    stored = None
    if archive.shared is not None:
        stored = archive.frames.at_hand(wanted)
        told = archive.shared.get((_NAMESPACE, *wanted.key)) if stored is None else None
        if told is not None:
            archive.first_levels.keep(wanted.key, told)
            return told
    stored = stored or _stored(archive, wanted)
    # read and checked once, not for where its levels lie and then for the first of them
    held = stored if archive.levels.holds(wanted.key) else FrameInMemory(stored.read())
    first, last = levels_between(archive.levels.of(wanted.key, held), 0, 0)
    if last - first > MAX_FIRST_LEVEL:
        return FrameSlice(stored, first, last - first)
    data = read_segment(FrameSlice(held, first, last - first))
    archive.first_levels.keep(wanted.key, data)
    if archive.shared is not None:
        archive.shared.put((_NAMESPACE, *wanted.key), data)
    return data


def _stored(archive: Archive, wanted: WantedFrame) -> StoredFrame:
    try:
        return archive.frames.get(wanted)
    except UpstreamNotFound as error:
        raise ResourceNotFound("HealthImaging no longer has this frame") from error
