"""Callers that were verified not long ago, by a digest of what they presented: bounded, and short-lived."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

_MOST = 4096
"""Even callers with as many groups as a token can name take no more than 64 MB."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_T]):
    value: _T
    until: float


class KeptCallers(Generic[_T]):
    """Values by digest, each until a moment (Unix time) of its own; the oldest makes room."""

    def __init__(self, most: int = _MOST, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[bytes, _Kept[_T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: bytes) -> _T | None:
        """What is kept under `digest` and still holds."""
        found = self._kept.get(digest)
        if found is None:
            return None
        if self._clock() < found.until:
            return found.value
        self.drop(digest)
        return None

    def put(self, digest: bytes, value: _T, until: float) -> None:
        """Keep `value` until the moment `until`."""
        with self._lock:
            self._kept[digest] = _Kept(value, until)
            self._kept.move_to_end(digest)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        """Keep it no longer."""
        with self._lock:
            self._kept.pop(digest, None)
