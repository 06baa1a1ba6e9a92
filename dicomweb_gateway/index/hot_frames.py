"""Frames that were looked up lately by HealthImaging's own address, for callers of every sight."""

from collections.abc import Callable

from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.records import SeenFrame, is_seen
from dicomweb_gateway.sight import Sight

MOST = 20_000
"""About 500 bytes each."""

FramePath = tuple[str, str, str]
"""Data store, image set and frame id."""


class HotFrames:
    """Keeps what was found for `seconds`; any number of threads may ask.

    Who may not see what is kept has it looked up each time, like what is unknown and never kept.
    """

    def __init__(self, seconds: float) -> None:
        self._kept: HotMap[list[SeenFrame]] = HotMap(seconds, MOST, len)

    def get(self, sight: Sight, path: FramePath, load: Callable[[], list[SeenFrame]]) -> WantedFrame | None:
        """The frame, kept or from `load`; None where there is none or `sight` hides it."""
        found = _first_seen(sight, self._kept.peek(path) or [])
        if found is not None:
            return found
        epoch = self._kept.epoch
        frames = load()
        if frames:
            self._kept.keep(path, frames, epoch)
        return _first_seen(sight, frames)

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()


def _first_seen(sight: Sight, frames: list[SeenFrame]) -> WantedFrame | None:
    seen = (one.wanted for one in frames if is_seen(sight, one.wanted.key.datastore_id, one.traits))
    return next(seen, None)
