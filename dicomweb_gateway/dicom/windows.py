"""A part of something that holds bytes, as a seekable file of its own."""

import os
from collections.abc import Callable
from functools import partial
from io import BufferedReader, RawIOBase
from typing import BinaryIO

Fill = Callable[[memoryview, int], int]
"""Fills a buffer from an offset on; how many bytes came."""


class Window(RawIOBase):
    """[`start`, `start` + `length`) of what `fill` reads, with a position of its own."""

    def __init__(self, fill: Fill, start: int, length: int) -> None:
        self._fill = fill
        self._start = start
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See io.IOBase."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See io.RawIOBase."""
        wanted = max(0, min(len(buffer), self._length - self._position))
        count = self._fill(memoryview(buffer)[:wanted], self._start + self._position) if wanted else 0
        self._position += count
        return count


def opened_window(fill: Fill, start: int, length: int) -> BinaryIO:
    """The window as a buffered file."""
    return BufferedReader(Window(fill, start, length))


def file_window(file: BinaryIO, start: int, length: int) -> BinaryIO:
    """A window of a file that can seek; of one file one window is read at a time."""
    return opened_window(partial(_fill_from, file), start, length)


def _fill_from(file: BinaryIO, buffer: memoryview, offset: int) -> int:
    file.seek(offset)
    data = file.read(len(buffer))
    buffer[: len(data)] = data
    return len(data)
