"""A body of segments as one file, which the server sends without holding a worker thread."""

import os
import socket
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from threading import Lock
from typing import BinaryIO, NamedTuple

from dicomweb_gateway.wado.body import FrameSlice, segment_length
from dicomweb_gateway.web.stretches import send_stretch

PINNED = 16
"""Frames of one body that are held open at most: a long download must not take all descriptors."""


class _Open(NamedTuple):
    """A frame's file and the position of the frame in it."""

    file: BinaryIO
    origin: int


class SegmentFile:
    """Bytes and slices of stored frames, either sent to a socket or read as a file; not both.

    Frames are opened ahead of being sent, `PINNED` at a time, by `fill`: to open one means to check it and,
    where it was lost meanwhile, to fetch it again, which may take long. What is open stays whole, whatever
    is evicted. `fill` and `close` may be called beside `send` from other threads.
    """

    def __init__(self, segments: Sequence[bytes | FrameSlice]) -> None:
        self._segments = [segment for segment in segments if segment_length(segment)]
        self._ends = list(accumulate(map(segment_length, self._segments)))
        self._end = self._ends[-1] if self._ends else 0
        self._position = 0
        self._open: dict[int, _Open] = {}
        self._lock = Lock()
        self._filled = 0
        self._closed = False

    def __len__(self) -> int:
        """Bytes from the position on."""
        return max(0, self._end - self._position)

    def __del__(self) -> None:
        self.close()

    @property
    def is_starved(self) -> bool:
        """Whether the next segment is a frame that is not open: `fill` first."""
        return self._position < self._end and self._number() >= self._filled

    def fill(self) -> None:
        """Open the frames of the next segments, each closed when it is through.

        Raises what fetching a frame raises; nothing is open then that was not before.
        """
        opened: dict[int, _Open] = {}
        number = max(self._filled, self._number())
        try:
            while number < len(self._segments):
                segment = self._segments[number]
                if not isinstance(segment, bytes):
                    if len(opened) == PINNED:
                        break
                    opened[number] = _Open(*segment.frame.open())
                number += 1
        except BaseException:
            _close(opened)
            raise
        with self._lock:
            if self._closed:
                _close(opened)
                return
            self._open |= opened
            self._filled = number

    def send(self, sock: socket.socket, more: bool = False) -> int:
        """Send what `sock` takes of the segments that are filled; the number of bytes, 0 when starved.

        BlockingIOError when it takes none, another OSError when it is broken, CutShort when a file is lost.
        """
        sent = 0
        while self._position < self._end and (number := self._number()) < self._filled:
            try:
                count = self._send_some(sock, number)
            except BlockingIOError:
                if not sent:
                    raise
                break
            sent += count
        return sent

    def _send_some(self, sock: socket.socket, number: int) -> int:
        segment = self._segments[number]
        left = self._ends[number] - self._position
        if isinstance(segment, bytes):
            last = number + 1 == len(self._segments)
            count = sock.send(memoryview(segment)[-left:], 0 if last else socket.MSG_MORE)
        else:
            file, origin = self._open[number]
            start = origin + segment.start + segment.length - left
            count = send_stretch(sock, file, start, left)
        self._position += count
        if count == left:
            self._through(number)
        return count

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as io.IOBase.seek does; the new position."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position on, all that is left for -1; may wait as `fill` does."""
        left = len(self)
        wanted = left if size < 0 else min(size, left)
        pieces = []
        while wanted:
            piece = self._read_some(wanted)
            pieces.append(piece)
            self._position += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close all frame files and let go of all frames; nothing is left to read.

        A server may keep the file object for a while, and frames in a spool hold disk space.
        """
        with self._lock:
            self._closed = True
            _close(self._open)
            self._segments, self._ends, self._end, self._position = [], [], 0, 0

    def _number(self) -> int:
        return bisect_right(self._ends, self._position)

    def _through(self, number: int) -> None:
        with self._lock:
            opened = self._open.pop(number, None)
        if opened is not None:
            opened.file.close()

    def _read_some(self, wanted: int) -> bytes:
        number = self._number()
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

    def _frame_file(self, number: int, segment: FrameSlice) -> _Open:
        """The frame of segment `number`, opened where it is not; the one that was read before is closed."""
        found = self._open.get(number)
        if found is None:
            _close({other: self._open.pop(other) for other in list(self._open) if other < number})
            found = self._open[number] = _Open(*segment.frame.open())
        return found


def _close(opened: dict[int, _Open]) -> None:
    for one in opened.values():
        with suppress(OSError):
            one.file.close()
    opened.clear()
