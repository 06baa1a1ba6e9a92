"""Numbers of all processes of a gateway in memory that they share.

Each process writes a row of its own, so nobody waits for a lock that a killed process holds. Whoever takes a
dead process's place goes on with its row: counters never go backwards, and nothing that was counted is lost.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

ROW_BYTES = 512 << 10
"""Of one process; memory is taken only as far as it is used."""
NOTES = 32
NOTE_BYTES = 512
_HEAD = struct.Struct("<qqq")
"""Process id of the owner, bytes of entries that are used, notes that were ever written."""
_ENTRY = struct.Struct("<HHI")
"""Length of the key in bytes, how many numbers follow it."""
_NOTES_AT = _HEAD.size
_ENTRIES_AT = _NOTES_AT + NOTES * NOTE_BYTES
_LONGEST_KEY = 1024


class Entry(NamedTuple):
    """A key and where its numbers lie: index of the first among all 8-byte cells, how many there are."""

    key: str
    first: int
    cells: int


class Rows:
    """The memory, made before the forks."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, count * ROW_BYTES)
        # fits, since all entries begin at multiples of 8 bytes
        self.cells = memoryview(self._memory).cast("d")

    def owner(self, row: int) -> int:
        """Process id of whoever writes the row, 0 for nobody yet."""
        return self._head(row)[0]

    def is_live(self, row: int) -> bool:
        """Whether the row's owner lives."""
        owner = self.owner(row)
        return bool(owner) and is_process(owner)

    def claim(self, candidates: range) -> int | None:
        """The first row of `candidates` that no living process owns, now this process's; None for none."""
        for row in candidates:
            if not self.is_live(row) or self.owner(row) == os.getpid():
                _, used, noted = self._head(row)
                _HEAD.pack_into(self._memory, row * ROW_BYTES, os.getpid(), used, noted)
                return row
        return None

    def entries(self, row: int) -> Iterator[Entry]:
        """All entries of a row that are complete."""
        start = row * ROW_BYTES + _ENTRIES_AT
        end = start + self._head(row)[1]
        while start < end:
            length, count, _ = _ENTRY.unpack_from(self._memory, start)
            at = start + _ENTRY.size
            first = at + _padded(length)
            yield Entry(self._memory[at : at + length].decode(), first // 8, count)
            start = first + count * 8

    def append(self, row: int, key: str, count: int) -> int | None:
        """Index of the first of `count` new cells, all 0, under `key`; None when there is no room."""
        name = key.encode()
        _, used, _ = self._head(row)
        start = row * ROW_BYTES + _ENTRIES_AT + used
        first = start + _ENTRY.size + _padded(len(name))
        end = first + count * 8
        if end > (row + 1) * ROW_BYTES or len(name) > _LONGEST_KEY:
            return None
        _ENTRY.pack_into(self._memory, start, len(name), count, 0)
        self._memory[start + _ENTRY.size : start + _ENTRY.size + len(name)] = name
        # readers look no further than this, so it comes last
        struct.pack_into("<q", self._memory, row * ROW_BYTES + 8, end - row * ROW_BYTES - _ENTRIES_AT)
        return first // 8

    def note(self, row: int, text: bytes) -> None:
        """Keep `text` in place of the oldest note; one that is too long is not kept."""
        if len(text) > NOTE_BYTES - 2:
            return
        *_, noted = self._head(row)
        at = row * ROW_BYTES + _NOTES_AT + noted % NOTES * NOTE_BYTES
        struct.pack_into("<H", self._memory, at, 0)
        self._memory[at + 2 : at + 2 + len(text)] = text
        struct.pack_into("<H", self._memory, at, len(text))
        struct.pack_into("<q", self._memory, row * ROW_BYTES + 16, noted + 1)

    def notes(self, row: int) -> Iterator[bytes]:
        """The notes of a row, in no order."""
        for number in range(NOTES):
            at = row * ROW_BYTES + _NOTES_AT + number * NOTE_BYTES
            (length,) = struct.unpack_from("<H", self._memory, at)
            if length:
                yield self._memory[at + 2 : at + 2 + length]

    def _head(self, row: int) -> tuple[int, int, int]:
        return _HEAD.unpack_from(self._memory, row * ROW_BYTES)


def is_process(pid: int) -> bool:
    """Whether a process with this id lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _padded(length: int) -> int:
    return -(-length // 8) * 8
