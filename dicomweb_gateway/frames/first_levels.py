"""The smallest resolutions of frames that were asked, in memory: what a viewer of levels asks first (7.1)."""

from collections import OrderedDict
from threading import Lock

from dicomweb_gateway.imagesets.store import FrameKey

_OVERHEAD = 600
"""Bytes that an entry takes beside its level: key, ids, dictionary."""
_SHARES = 64
"""A level that is larger than this part of all is left to the frame store."""


class FirstLevels:
    """The levels 0 that were asked last, of `max_bytes` in all with what keeping them costs; 0 keeps none.

    Frames never change, so nothing here grows old. Safe from any thread.
    """

    def __init__(self, max_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._kept: OrderedDict[FrameKey, bytes] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes that are held, with what keeping them costs."""
        return self._bytes

    def get(self, key: FrameKey) -> bytes | None:
        """Level 0 of a frame, None when it is not kept."""
        if not self._kept:
            return None
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: FrameKey, level: bytes) -> None:
        """Keep level 0 of a frame, unless it is too large."""
        weight = len(level) + _OVERHEAD
        if weight * _SHARES > self._max_bytes:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = level
            self._bytes += weight
            while self._bytes > self._max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped) + _OVERHEAD
