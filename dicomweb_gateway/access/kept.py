"""What was found out not long ago, by a digest of what was presented: bounded, and short-lived."""

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

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()


_LOCKS = 64


class Lookups(Generic[_T]):
    """What was looked up is believed for `kept` seconds; of many who ask at once one looks.

    Digests are SHA-256 in hexadecimal; None is an answer too: that there is no such thing.
    """

    def __init__(self, kept: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds = kept
        self._clock = clock
        self._kept: KeptCallers[tuple[_T | None]] = KeptCallers(clock=clock)
        self._locks = [Lock() for _ in range(_LOCKS)]
        self._turn = 0

    def kept(self, digest: str) -> tuple[_T | None] | None:
        """What is believed, in a tuple of one; None where it must be looked up."""
        return self._kept.get(bytes.fromhex(digest))

    def find(self, digest: str, look: Callable[[], _T | None]) -> _T | None:
        """What is believed, else what `look` finds."""
        key = bytes.fromhex(digest)
        known = self._kept.get(key)
        if known is not None:
            return known[0]
        with self._locks[key[0] % _LOCKS]:
            known = self._kept.get(key)
            if known is None:
                turn, known = self._turn, (look(),)
                # what was found before all was to be forgotten is not believed after it
                if turn == self._turn:
                    self._kept.put(key, known, self._clock() + self._seconds)
        return known[0]

    def deny(self, digest: str) -> None:
        """Believe that there is no such thing, for twice as long.

        What others have read of it, and told this process, may be as old as what it has read itself.
        """
        key = bytes.fromhex(digest)
        # who read it before it was removed must not be the last to say what is known
        with self._locks[key[0] % _LOCKS]:
            self._kept.put(key, (None,), self._clock() + 2 * self._seconds + 1)

    def forget_all(self) -> None:
        """Believe nothing: all is looked up anew."""
        self._turn += 1
        self._kept.clear()
