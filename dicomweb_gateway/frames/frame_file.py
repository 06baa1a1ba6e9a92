"""The file format of one stored frame: 20 bytes of header, then the frame as HealthImaging sent it.

Header, little endian: magic "DGFR", format version, flags, two spare bytes, CRC-32, payload length. The
CRC-32 starts from the file's name, so that a good file in a wrong place is no answer either.
"""

import os
import struct
import zlib
from errno import EIO
from typing import NamedTuple

_MAGIC = b"DGFR"
_VERSION = 1
_STRUCT = struct.Struct("<4sBBHIQ")
_PREFETCHED = 1
_CHUNK = 1 << 20

HEADER_SIZE = _STRUCT.size
"""Bytes before the payload."""


class Header(NamedTuple):
    """What the first bytes of a whole file say; `length` is that of the payload, in bytes."""

    prefetched: bool
    checksum: int
    length: int


def read_header(descriptor: int) -> Header | None:
    """The header, None when this is no frame file or has another size than it says; OSError from the disk."""
    raw = os.pread(descriptor, HEADER_SIZE, 0)
    if len(raw) < HEADER_SIZE:
        return None
    magic, version, flags, _, checksum, length = _STRUCT.unpack(raw)
    if magic != _MAGIC or version != _VERSION or os.fstat(descriptor).st_size != HEADER_SIZE + length:
        return None
    return Header(bool(flags & _PREFETCHED), checksum, length)


def payload_checksum(name: str, payload: bytes) -> int:
    """The CRC-32 that a file called `name` must state for `payload`."""
    return zlib.crc32(payload, zlib.crc32(name.encode()))


def stored_checksum(descriptor: int, name: str) -> int:
    """The CRC-32 of what lies behind the header, read in chunks; OSError from the disk."""
    checksum = zlib.crc32(name.encode())
    offset = HEADER_SIZE
    while chunk := os.pread(descriptor, _CHUNK, offset):
        checksum = zlib.crc32(chunk, checksum)
        offset += len(chunk)
    return checksum


def write(path: str, name: str, payload: bytes, *, prefetched: bool) -> None:
    """Make a new file at `path` that will be called `name`; OSError when the disk does not take it all."""
    flags = _PREFETCHED if prefetched else 0
    header = _STRUCT.pack(_MAGIC, _VERSION, flags, 0, payload_checksum(name, payload), len(payload))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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
