"""Memory that all web processes of a gateway share, made before they are forked: a row for each to write.

Who wants to know what all have noted reads all rows, so nobody ever waits for a lock that a stopped or killed
process holds. A row is cleared when the process in whose place it was is replaced.
"""

import mmap
import os
import struct
from hashlib import blake2b
from typing import NamedTuple

from dicomweb_gateway.telemetry.rows import is_process

ROWS_EACH = 3
"""Rows of one web process and of those whose place it has taken and that still end their answers."""
_OWNER = struct.Struct("<q")


class SharedRows:
    """Rows of `row_bytes` for `processes`; the memory begins with who owns which."""

    def __init__(self, processes: int, row_bytes: int) -> None:
        self._rows = processes * ROWS_EACH
        self._row_bytes = row_bytes
        self._owners = struct.Struct(f"<{self._rows}q")
        self._start = self._owners.size
        self._starts = [self._start + row * row_bytes for row in range(self._rows)]
        self._memory = mmap.mmap(-1, self._start + self._rows * row_bytes)
        self._known: tuple[bytes, list[int]] = (b"", [])

    def claim_row(self, number: int) -> int:
        """Where the row begins, cleared, of web process `number` (from 0), which is the calling process.

        Rows of processes that are no more are cleared too. A process that ends its last answers keeps its row
        until that is done.
        """
        candidates = range(number * ROWS_EACH, (number + 1) * ROWS_EACH)
        owners = self._owners.unpack_from(self._memory, 0)
        free = [row for row in candidates if not owners[row] or not _lives(owners[row])]
        for row in free:
            self._clear(row)
        chosen = free[0] if free else candidates[0]
        self._clear(chosen)
        _OWNER.pack_into(self._memory, chosen * _OWNER.size, os.getpid())
        return self._starts[chosen]

    def owned(self) -> list[int]:
        """Where the rows of all processes begin; they change when one of these is replaced."""
        owners = self._memory[: self._start]
        known, starts = self._known
        if owners != known:
            found = self._owners.unpack(owners)
            starts = [start for start, owner in zip(self._starts, found, strict=True) if owner]
            self._known = (owners, starts)
        return starts

    @property
    def memory(self) -> mmap.mmap:
        """All of it."""
        return self._memory

    def _clear(self, row: int) -> None:
        _OWNER.pack_into(self._memory, row * _OWNER.size, 0)
        start = self._starts[row]
        self._memory[start : start + self._row_bytes] = bytes(self._row_bytes)


def found_in(memory: mmap.mmap, digest: bytes, first: int, end: int, size: int) -> int:
    """Where in the cells of `size` bytes from `first` to `end` the one that begins with `digest` does, or -1.

    Nothing is copied: each request looks.
    """
    at = memory.find(digest, first, end)
    while at >= 0 and (at - first) % size:
        at = memory.find(digest, at + 1, end)
    return at


def _lives(pid: int) -> bool:
    return pid != os.getpid() and is_process(pid)


class Place(NamedTuple):
    """Where in a row the cells are of which a name may have one: `first` up to `end`, in bytes."""

    digest: bytes
    first: int
    end: int


def place_of(name: str, cells: int, neighbours: int, size: int) -> Place:
    """The place of `name` in rows of `cells` cells of `size` bytes, of which `neighbours` are its own."""
    digest = blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
    first = int.from_bytes(digest[:4], "little") % (cells // neighbours) * neighbours
    return Place(digest, first * size, (first + neighbours) * size)
