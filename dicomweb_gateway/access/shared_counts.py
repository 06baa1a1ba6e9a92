"""What clients do at this moment, counted over all web processes of a gateway, in memory that they share.

Each process writes a row of its own and adds up those of all (`shared_rows`): what a killed process had under
way is not counted for longer. The number of clients is bounded: each has one of a
few neighbouring cells. Who finds all of them taken takes the place of whoever has asked the least and has
nothing under way; if all have, he is not counted (the last cell keeps his books), for he must not suffer for
others.
"""

import struct
import time
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from dicomweb_gateway.access.shared_rows import Place, SharedRows, found_in, place_of

CELLS = 8192
"""Cells of a row, without the last one; a power of two."""
_NEIGHBOURS = 16
"""Cells of which a client may have one."""
_CELL = struct.Struct("<16sqIIiI")
"""Digest of the client, number of the stretch of time, what was counted in it and in the one before, how much
is under way, and the second (time.monotonic) from which on none of what was counted matters."""
_SIZE = _CELL.size
_RUNNING = struct.Struct("<i")
_RUNNING_AT = struct.calcsize("<16sqII")


class Usage(NamedTuple):
    """What a client does: how much was counted within the last `seconds`, how much is `under_way`."""

    recent: float
    under_way: int


class Ticket(NamedTuple):
    """Where something that is under way was counted; for `leave`."""

    offset: int


class SharedCounts(SharedRows):
    """The memory, made before the web processes are forked; `processes` is their number."""

    def __init__(self, processes: int) -> None:
        super().__init__(processes, (CELLS + 1) * _CELL.size)

    def claim(self, number: int) -> "ClientCounts":
        """What web process `number` (from 0), which is the calling process, counts in."""
        return ClientCounts(self, self.claim_row(number))


class ClientCounts:
    """The counts as one process sees and changes them; for any of its threads."""

    def __init__(self, shared: SharedCounts, start: int) -> None:
        self._shared = shared
        self._start = start
        self._last = self._start + CELLS * _CELL.size
        self._lock = Lock()

    def usage(self, name: str, seconds: float) -> Usage:
        """What all processes know of `name`, which is always counted with the same `seconds`."""
        now = time.monotonic() / seconds
        place = _place(name)
        recent, under_way = 0.0, 0
        memory = self._shared.memory
        digest, first, end = place
        for start in self._shared.owned():
            at = found_in(memory, digest, start + first, start + end, _SIZE)
            if at >= 0:
                _, stretch, count, before, running, _ = _CELL.unpack_from(memory, at)
                recent += _recent(stretch, count, before, now)
                if running > 0:
                    under_way += running
        return Usage(recent, under_way)

    def enter(self, name: str, seconds: float, count: int = 1, under_way: int = 1) -> Ticket:
        """Count `count` for `name` now, and `under_way` until `leave`."""
        now = time.monotonic()
        stretch = int(now / seconds)
        place = _place(name)
        memory = self._shared.memory
        with self._lock:
            offset = self._cell_for(place, now)
            digest, before, now_count, then_count, running, _ = _CELL.unpack_from(memory, offset)
            if digest != place.digest and offset != self._last:
                before, now_count, then_count, running = stretch, 0, 0, 0
            if before != stretch:
                then_count = now_count if before == stretch - 1 else 0
                now_count = 0
            _CELL.pack_into(
                memory,
                offset,
                place.digest,
                stretch,
                min(now_count + count, 0xFFFFFFFF),
                then_count,
                running + under_way,
                int((stretch + 2) * seconds) + 1,
            )
        return Ticket(offset)

    def leave(self, ticket: Ticket) -> None:
        """What `enter` counted as under way has ended."""
        memory = self._shared.memory
        with self._lock:
            at = ticket.offset + _RUNNING_AT
            (running,) = _RUNNING.unpack_from(memory, at)
            if running > 0:
                _RUNNING.pack_into(memory, at, running - 1)

    def _cell_for(self, place: Place, now: float) -> int:
        """The client's cell of this row: its own, else one that nobody uses now, else that of the laziest."""
        first, end = self._start + place.first, self._start + place.end
        at = found_in(self._shared.memory, place.digest, first, end, _SIZE)
        if at >= 0:
            return at
        cells = self._shared.memory[first:end]
        least, chosen = _NOBODY, self._last
        for at in range(0, len(cells), _CELL.size):
            _, _, count, before, running, until = _CELL.unpack_from(cells, at)
            if running > 0:
                continue
            asked = -1 if until < now else count + before
            if asked < least:
                least, chosen = asked, first + at
        return chosen


_NOBODY = 1 << 40


@lru_cache(maxsize=2048)
def _place(name: str) -> Place:
    return place_of(name, CELLS, min(_NEIGHBOURS, CELLS), _SIZE)


def _recent(stretch: int, count: int, before: int, now: float) -> float:
    """What was counted within the last stretch: of the one before the share that is not yet past."""
    if stretch == int(now):
        return count + before * (1 - now % 1)
    return count * (1 - now % 1) if stretch == int(now) - 1 else 0.0
