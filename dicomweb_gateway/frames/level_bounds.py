"""Where the resolution levels of stored frames lie, remembered, as frames never change (F-11)."""

from collections import OrderedDict
from threading import Lock

from dicomweb_gateway.frames.stored_frame import StoredFrame
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.tlm.levels import level_bounds


class LevelBounds:
    """The `level_bounds` of the last `capacity` frames that were asked, at some 200 bytes each."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[FrameKey, tuple[int, ...]] = OrderedDict()
        self._lock = Lock()

    def holds(self, key: FrameKey) -> bool:
        """Whether `of` need not read the frame of `key`, as long as no others are asked meanwhile."""
        return key in self._known

    def of(self, key: FrameKey, frame: StoredFrame) -> tuple[int, ...]:
        """`tlm.levels.level_bounds` of `frame`, which is read only the first time.

        Raises CorruptFrame when its main header is torn, and what reading a stored frame raises.
        """
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        found = level_bounds(frame.read())
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return found
