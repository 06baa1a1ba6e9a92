"""Failed logins, noted over all web processes of a gateway, in memory that they share.

Each process writes a row of its own and adds up those of all (`shared_rows`). The number of names is bounded:
each has one of a few neighbouring cells, of which the one that failed the longest ago makes room.
"""

import struct
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from dicomweb_gateway.access.shared_rows import Place, SharedRows, found_in, place_of

CELLS = 8192
"""Cells of a row; a power of two."""
_NEIGHBOURS = 16
_CELL = struct.Struct("<16sIdd")
"""Digest of the name, failures, when the last was, and when it was forgiven last (time.monotonic)."""


class Failures(NamedTuple):
    """How often somebody failed since they last succeeded, and when the last time was."""

    number: int
    last: float


class SharedFailures(SharedRows):
    """The memory, made before the web processes are forked; `processes` is their number."""

    def __init__(self, processes: int) -> None:
        super().__init__(processes, CELLS * _CELL.size)

    def claim(self, number: int) -> "FailureBook":
        """What web process `number` (from 0), which is the calling process, writes in."""
        return FailureBook(self, self.claim_row(number))


class FailureBook:
    """The failures as one process sees and notes them, for any of its threads. All times are seconds."""

    def __init__(self, shared: SharedFailures, start: int) -> None:
        self._shared = shared
        self._start = start
        self._lock = Lock()

    def failures(self, name: str, now: float, forget: float) -> Failures:
        """What all processes know of `name`; nothing of what is older than `forget`."""
        place = _place(name)
        found = [cell for start in self._shared.owned() if (cell := self._cell(start, place)) is not None]
        forgiven = max((since for _, _, since in found), default=0.0)
        count = sum(number for number, last, _ in found if last > forgiven and now - last <= forget)
        return Failures(count, max((last for _, last, _ in found), default=0.0) if count else 0.0)

    def fail(self, name: str, now: float, forget: float) -> None:
        """`name` has failed."""
        with self._lock:
            before = self.failures(name, now, forget)
            number, last, forgiven = self._own(name)
            if not before.number or now - last > forget:
                number = 0
            self._write(name, number + 1, now, forgiven)

    def forgive(self, name: str, now: float) -> None:
        """`name` has got it right; nothing is written for one of whom nothing is known."""
        with self._lock:
            if self.failures(name, now, float("inf")).number:
                self._write(name, 0, 0.0, now)

    def _cell(self, start: int, place: Place) -> tuple[int, float, float] | None:
        memory = self._shared.memory
        at = found_in(memory, place.digest, start + place.first, start + place.end, _CELL.size)
        return None if at < 0 else _CELL.unpack_from(memory, at)[1:]

    def _own(self, name: str) -> tuple[int, float, float]:
        return self._cell(self._start, _place(name)) or (0, 0.0, 0.0)

    def _write(self, name: str, count: int, last: float, forgiven: float) -> None:
        place = _place(name)
        memory = self._shared.memory
        first, end = self._start + place.first, self._start + place.end
        at = found_in(memory, place.digest, first, end, _CELL.size)
        if at < 0:
            cells = range(first, end, _CELL.size)
            at = min(cells, key=lambda one: max(_CELL.unpack_from(memory, one)[2:]))
        _CELL.pack_into(memory, at, place.digest, min(count, 0xFFFFFFFF), last, forgiven)


@lru_cache(maxsize=2048)
def _place(name: str) -> Place:
    return place_of(name, CELLS, _NEIGHBOURS, _CELL.size)
