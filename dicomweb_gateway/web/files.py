"""A body of segments as one seekable file, which the server sends without holding a worker thread."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import BinaryIO

from dicomweb_gateway.wado.body import FrameSlice, segment_length


class SegmentFile:
    """Reads through bytes and slices of stored frames; at most one frame file is open at a time.

    Offers what `wsgi.file_wrapper` of waitress wants: read, seek, tell, close. Not for several threads.
    """

    def __init__(self, segments: Sequence[bytes | FrameSlice]) -> None:
        self._segments = [segment for segment in segments if segment_length(segment)]
        self._ends = list(accumulate(map(segment_length, self._segments)))
        self._position = 0
        self._open: tuple[int, BinaryIO, int] | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as io.IOBase.seek does; the new position."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self)}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position on, all that is left for -1."""
        left = max(0, len(self) - self._position)
        wanted = left if size < 0 else min(size, left)
        pieces = []
        while wanted:
            piece = self._read_some(wanted)
            pieces.append(piece)
            self._position += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the frame file that is open, if any, and let go of all frames; nothing is left to read.

        A server may keep the file object for a while, and frames in a spool hold disk space.
        """
        self._close_frame()
        self._segments, self._ends = [], []

    def _close_frame(self) -> None:
        if self._open is not None:
            with suppress(OSError):
                self._open[1].close()
            self._open = None

    def _read_some(self, wanted: int) -> bytes:
        number = bisect_right(self._ends, self._position)
        segment = self._segments[number]
        start = self._position - (self._ends[number] - segment_length(segment))
        size = min(wanted, segment_length(segment) - start)
        if isinstance(segment, bytes):
            return segment[start : start + size]
        file, origin = self._frame_file(number, segment)
        file.seek(origin + segment.start + start)
        data = file.read(size)
        if len(data) != size:
            raise OSError("a stored frame is shorter than it was when the answer began")
        return data

    def _frame_file(self, number: int, segment: FrameSlice) -> tuple[BinaryIO, int]:
        if self._open is None or self._open[0] != number:
            self._close_frame()
            file, origin = segment.frame.open()
            self._open = (number, file, origin)
        return self._open[1], self._open[2]
