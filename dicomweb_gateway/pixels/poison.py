"""Frames that made trouble in a decoder, remembered for a while."""

from collections import OrderedDict
from threading import Lock
from time import monotonic

from dicomweb_gateway.errors import UndecodablePixels

Key = tuple[str, bytes]


class Poison:
    """Frames that a worker should not try again for `seconds`, with the reason; at most `capacity`."""

    def __init__(self, seconds: float = 600, capacity: int = 256) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._found: OrderedDict[Key, tuple[float, str]] = OrderedDict()
        self._lock = Lock()

    def add(self, key: Key, reason: str) -> None:
        """Remember that this frame made trouble just now."""
        with self._lock:
            self._found[key] = monotonic() + self._seconds, reason
            self._found.move_to_end(key)
            while len(self._found) > self._capacity:
                self._found.popitem(last=False)

    def check(self, key: Key) -> None:
        """Raise UndecodablePixels with the remembered reason."""
        with self._lock:
            until, reason = self._found.get(key, (0.0, ""))
        if until > monotonic():
            raise UndecodablePixels(reason)
