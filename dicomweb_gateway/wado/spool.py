"""Frames that are coded anew for one answer, kept outside memory until it has gone out (dicomweb.md M-7).

An answer states its length before its first byte, so all of its frames must be coded by then. They go into
a temporary file without a name, which the system removes when the answer is over, however it ends.
"""

import os
from typing import BinaryIO
from weakref import finalize

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.windows import opened_window
from dicomweb_gateway.errors import StorageUnavailable

IN_MEMORY = 1 << 20
"""Bytes up to which a spool needs no file."""


class Spool:
    """Bytes one after the other: in memory up to `IN_MEMORY`, then in a file. Not for several writers.

    The file lives as long as the spool and the frames in it do.
    """

    def __init__(self, space: SpoolSpace) -> None:
        self._space = space
        self._memory = bytearray()
        self._descriptor: int | None = None
        self._end = 0

    def add(self, data: bytes) -> "SpooledFrame":
        """Keep `data`. Raises StorageUnavailable when the disk does not take it."""
        start = self._end
        if self._descriptor is None and start + len(data) <= IN_MEMORY:
            self._memory += data
        else:
            try:
                self._write(data)
            except OSError as error:
                raise StorageUnavailable("no room to keep the frames of this answer") from error
        self._end += len(data)
        return SpooledFrame(self, start, len(data))

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` on; how many bytes came. OSError from the disk."""
        if self._descriptor is not None:
            return os.preadv(self._descriptor, [buffer], offset)
        found = self._memory[offset : offset + len(buffer)]
        buffer[: len(found)] = found
        return len(found)

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = self._new_file()
            self._append(self._descriptor, self._memory)
            self._memory = bytearray()
        self._append(self._descriptor, data)

    def _new_file(self) -> int:
        """A descriptor of a new file without a name; closed with the spool."""
        with self._space.new_file() as file:
            descriptor = os.dup(file.fileno())
        finalize(self, os.close, descriptor)
        return descriptor

    def _append(self, descriptor: int, data: bytes | bytearray) -> None:
        self._space.require(descriptor, len(data), "the frames of this answer")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


class SpooledFrame:
    """A `frames.stored_frame.StoredFrame` in a spool; `length` in bytes."""

    __slots__ = ("_spool", "_start", "length")
    is_bare = False
    """What was coded here may be JPEG."""

    def __init__(self, spool: Spool, start: int, length: int) -> None:
        self._spool = spool
        self._start = start
        self.length = length

    def open(self) -> tuple[BinaryIO, int]:
        """A file of this frame alone, position 0; several may be read at once."""
        return opened_window(self._spool.read_into, self._start, self.length), 0

    def read(self) -> bytes:
        """The frame's bytes."""
        with self.open()[0] as file:
            return file.read()
