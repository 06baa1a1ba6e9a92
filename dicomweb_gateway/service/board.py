"""How the processes of one gateway are, in memory that they share: the master's view, which all can read.

A row is for one child. The child writes when it was last well, the master all else; nobody waits for a lock.
"""

import mmap
import os
import struct
import time
from typing import NamedTuple

ROWS = 1024
"""Children at once, those of the last reload included."""
KEEPS_ENDING = 3
"""Failures in a row after which a child is said to be in a crash loop."""
_ROW_BYTES = 64
_NAME = struct.Struct("<32s")
_BEAT = struct.Struct("<d")
_COUNTS = struct.Struct("<ii")
_BEAT_AT, _COUNTS_AT = 32, 40


class State(NamedTuple):
    """A child: `beat` is when it was last well (time.monotonic), 0 while it starts; failures in a row."""

    name: str
    beat: float
    failures: int
    restarts: int


class Board:
    """The memory, made before the first fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROWS * _ROW_BYTES)
        self._master = os.getpid()

    def claim(self, name: str) -> "Row":
        """A free row; only in the master. RuntimeError when there is none."""
        for number in range(ROWS):
            if not self._memory[number * _ROW_BYTES]:
                _NAME.pack_into(self._memory, number * _ROW_BYTES, name.encode()[:32])
                return Row(self._memory, number * _ROW_BYTES)
        raise RuntimeError("too many children")

    def states(self) -> list[State]:
        """All children that are to run."""
        rows = range(0, ROWS * _ROW_BYTES, _ROW_BYTES)
        return [Row(self._memory, start).state for start in rows if self._memory[start]]

    def trouble(self) -> str | None:
        """Which children end again and again, in words; None when none does."""
        names = sorted({state.name for state in self.states() if state.failures >= KEEPS_ENDING})
        return f"{', '.join(names)} keeps ending" if names else None


class Row:
    """One child's place on the board."""

    __slots__ = ("_memory", "_start")

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start

    @property
    def state(self) -> State:
        """What is known now."""
        name = self._memory[self._start : self._start + _BEAT_AT].rstrip(b"\0").decode(errors="replace")
        return State(name, self.beat, *_COUNTS.unpack_from(self._memory, self._start + _COUNTS_AT))

    @property
    def beat(self) -> float:
        """When the child was last well (time.monotonic); 0 while it starts."""
        beat: float = _BEAT.unpack_from(self._memory, self._start + _BEAT_AT)[0]
        return beat

    def alive(self) -> None:
        """The child is ready, and well now; in the child."""
        _BEAT.pack_into(self._memory, self._start + _BEAT_AT, time.monotonic())

    def starts(self) -> None:
        """The last process is no more, a new one is about to take its place."""
        _BEAT.pack_into(self._memory, self._start + _BEAT_AT, 0.0)

    def count(self, failures: int, restarts: int) -> None:
        """Note how often the child has failed in a row, and been replaced in all."""
        _COUNTS.pack_into(self._memory, self._start + _COUNTS_AT, failures, restarts)

    def free(self) -> None:
        """The child is no more."""
        self._memory[self._start : self._start + _ROW_BYTES] = bytes(_ROW_BYTES)
