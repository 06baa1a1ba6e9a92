"""Frames that no disk took, for those who ask a moment later: else each of them would cause a call."""

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from dicomweb_gateway.imagesets.store import FrameKey


class _Kept(NamedTuple):
    payload: bytes
    expires_at: float


class RecentFrames:
    """The last frames, `max_bytes` of them at most and each for `seconds`; safe from any thread."""

    def __init__(self, max_bytes: int = 32 << 20, seconds: float = 5.0) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[FrameKey, _Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, key: FrameKey, payload: bytes) -> None:
        """Keep a frame; one that is larger than all together may be is not kept."""
        with self._lock:
            self._drop(key)
            if len(payload) > self._max_bytes:
                return
            self._kept[key] = _Kept(payload, time.monotonic() + self._seconds)
            self._bytes += len(payload)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._kept)))

    def get(self, key: FrameKey) -> bytes | None:
        """The frame if it is kept."""
        if not self._kept:
            return None
        with self._lock:
            kept = self._kept.get(key)
            return kept.payload if kept is not None and kept.expires_at > time.monotonic() else None

    def expire(self) -> None:
        """Give back the memory of those whose time is over."""
        with self._lock:
            now = time.monotonic()
            while self._kept and next(iter(self._kept.values())).expires_at <= now:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: FrameKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.payload)
