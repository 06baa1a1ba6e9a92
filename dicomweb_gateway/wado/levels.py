"""Resolution levels of one stored frame, sliced from the frame store (healthimaging.md 7.1)."""

from dicomweb_gateway.errors import ResourceNotFound, UpstreamNotFound
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.tlm.levels import level_range
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import FrameSlice


def known_frame(archive: Archive, key: FrameKey) -> WantedFrame:
    """What the index knows of a frame; ResourceNotFound for a frame that is in no indexed image set.

    Nothing else reaches HealthImaging with our credentials.
    """
    wanted = archive.index.image_set_of_frame(*key)
    if wanted is None:
        raise ResourceNotFound("the index knows no such frame in this data store and image set")
    return wanted


def frame_levels(archive: Archive, wanted: WantedFrame, start: int | None, end: int | None) -> FrameSlice:
    """The bytes of levels `start` to `end` (0-based, included) of a frame; without either all of it.

    InvalidRequest for levels of a frame that has none, ResourceNotFound when HealthImaging lost it.
    """
    try:
        stored = archive.frames.get(wanted)
    except UpstreamNotFound as error:
        raise ResourceNotFound("HealthImaging no longer has this frame") from error
    if start is None and end is None:
        return FrameSlice(stored, 0, stored.length)
    first, last = level_range(stored.read(), start, end)
    return FrameSlice(stored, first, last - first)
