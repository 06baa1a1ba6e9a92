"""Frames that were looked up lately by HealthImaging's own address, for callers of every sight."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from threading import Lock

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.neighbours import Neighbours
from dicomweb_gateway.index.records import SeenFrame, is_seen
from dicomweb_gateway.sight import Sight

MOST = 20_000
"""Frames of image sets that were read whole, and half as many others; about 500 bytes each."""
LARGEST = MOST // 4
"""Frames of an image set that is read whole."""

FramePath = tuple[str, str, str]
"""Data store, image set and frame id."""
FramesOfSet = Mapping[str, list[SeenFrame]]
"""All frames of an image set by their ids; a frame once for each instance that has it."""


class HotFrames:
    """Keeps what was found for `seconds`; any number of threads may ask.

    An image set that is leafed through is read whole: that costs no more than some dozens of its frames, and
    what is kept of it grows old together. Who may not see what is kept has it looked up each time, like what
    is unknown and never kept; neither ever has an image set read.
    """

    def __init__(self, seconds: float) -> None:
        self._kept: HotMap[list[SeenFrame]] = HotMap(seconds, MOST // 2, len)
        self._sets: HotMap[FramesOfSet] = HotMap(seconds, MOST, _weight)
        self._neighbours = Neighbours(seconds, LARGEST)
        self._reading = Lock()

    def get(
        self,
        sight: Sight,
        path: FramePath,
        load: Callable[[], list[SeenFrame]],
        load_set: Callable[[], FramesOfSet],
    ) -> WantedFrame | None:
        """The frame, kept or from `load`; None where there is none or `sight` hides it.

        `load_set` reads the frames of its image set, or so many that these are more than LARGEST.
        """
        image_set = path[:2]
        whole = self._sets.peek(image_set)
        known = None if whole is None else whole.get(path[2])
        found = first_seen(sight, known or self._kept.peek(path) or ())
        if found is not None:
            return found
        epoch = self._kept.epoch
        frames = load()
        if frames:
            self._kept.keep(path, frames, epoch)
        found = first_seen(sight, frames)
        if found is not None and whole is None and self._neighbours.looked_up(image_set):
            self._read_whole(image_set, load_set)
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self._sets.clear()

    def _read_whole(self, image_set: tuple[str, str], load: Callable[[], FramesOfSet]) -> None:
        # who comes meanwhile looks up the one frame that he wants: that is sooner done than waiting for all
        if not self._reading.acquire(blocking=False):
            return
        try:
            epoch = self._sets.epoch
            with suppress(IndexUnavailable):
                frames = load()
                self._neighbours.learned(image_set, _size(frames))
                if _size(frames) <= LARGEST:
                    self._sets.keep(image_set, frames, epoch)
        finally:
            self._reading.release()


def _weight(frames: FramesOfSet) -> int:
    # what only documents know is an image set without frames here: of those too there is an end
    return 1 + _size(frames)


def _size(frames: FramesOfSet) -> int:
    return sum(map(len, frames.values()))


def first_seen(sight: Sight, frames: Iterable[SeenFrame]) -> WantedFrame | None:
    """The first of some frames that `sight` shows."""
    for wanted, traits in frames:
        if is_seen(sight, wanted.key.datastore_id, traits):
            return wanted
    return None
