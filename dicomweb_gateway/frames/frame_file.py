"""The file format of one stored frame: 20 bytes of header, then the frame as HealthImaging sent it.

Header, little endian: magic "DGFR", format version, three spare bytes, CRC-32, payload length. The CRC-32
starts from the file's name, so that a good file in a wrong place is no answer either. A frame that was
prefetched and that nobody has read yet has the mode bit `UNREAD`.
"""

import os
import stat
import struct
from errno import EIO
from typing import NamedTuple

from isal.isal_zlib import crc32

_MAGIC = b"DGFR"
_VERSION = 1
_STRUCT = struct.Struct("<4sB3xIQ")
_CHUNK = 1 << 20
_MODE = 0o600

UNREAD = 0o100
"""Mode bit of a file that was prefetched and not read yet: seen wherever a file's state is."""

HEADER_SIZE = _STRUCT.size
"""Bytes before the payload."""


class Header(NamedTuple):
    """What the first bytes of a whole file say; `length` is that of the payload, in bytes."""

    checksum: int
    length: int


def open_file(path: str) -> tuple[int, os.stat_result]:
    """A descriptor to read the file at `path`, and its state; OSError, also for what is no plain file.

    Without O_NONBLOCK opening a pipe that lies there would wait for its writer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(EIO, "no plain file", path)
    return descriptor, status


def read_header(descriptor: int, status: os.stat_result) -> Header | None:
    """The header, None when this is no frame file or has another size than it says; OSError from the disk."""
    raw = os.pread(descriptor, HEADER_SIZE, 0)
    if len(raw) < HEADER_SIZE:
        return None
    magic, version, checksum, length = _STRUCT.unpack(raw)
    if magic != _MAGIC or version != _VERSION or status.st_size != HEADER_SIZE + length:
        return None
    return Header(checksum, length)


def mark_read(descriptor: int) -> None:
    """Note that a prefetched frame was worth it; OSError from the disk."""
    os.fchmod(descriptor, _MODE)


def payload_checksum(name: str, payload: bytes) -> int:
    """The CRC-32 that a file called `name` must state for `payload`."""
    return crc32(payload, crc32(name.encode()))


def stored_checksum(descriptor: int, name: str) -> int:
    """The CRC-32 of what lies behind the header, read in chunks; OSError from the disk."""
    checksum = crc32(name.encode())
    offset = HEADER_SIZE
    while chunk := os.pread(descriptor, _CHUNK, offset):
        checksum = crc32(chunk, checksum)
        offset += len(chunk)
    return checksum


def write(path: str, name: str, payload: bytes, *, prefetched: bool) -> None:
    """Make a new file at `path` that will be called `name`; OSError when the disk does not take it all."""
    header = _STRUCT.pack(_MAGIC, _VERSION, payload_checksum(name, payload), len(payload))
    mode = _MODE | UNREAD if prefetched else _MODE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        written = os.writev(descriptor, [header, payload])
        if written < HEADER_SIZE:
            raise OSError(EIO, os.strerror(EIO))
        # one call writes at most 2 GiB, and less on a disk that is filling up
        rest = memoryview(payload)[written - HEADER_SIZE :]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)
