"""Stretches of open files onto a socket, by the kernel where it can (sendfile), so that nothing is copied."""

import errno
import os
import socket
from typing import Any

_PIECE = 1 << 18


class CutShort(Exception):
    """The rest of an answer that is under way cannot be had: it must be cut off, never filled up."""


def descriptor_of(file: Any) -> int | None:
    """The descriptor of a file on disk; None for what lies in memory or is put together."""
    try:
        found: int = file.fileno()
    except (AttributeError, OSError):
        return None
    return found


def send_stretch(sock: socket.socket, file: Any, start: int, length: int) -> int:
    """Send up to `length` (> 0) bytes of `file` from position `start` on; how many the socket took.

    BlockingIOError when it takes none, another OSError when it is broken, CutShort when the file is shorter
    or the disk fails.
    """
    descriptor = descriptor_of(file)
    if descriptor is None:
        return sock.send(_read(file, start, min(length, _PIECE)))
    try:
        count = os.sendfile(sock.fileno(), descriptor, start, length)
    except OSError as error:
        if error.errno == errno.EIO:
            raise CutShort("the disk does not give what it keeps") from error
        raise
    if count == 0:
        raise CutShort("a stored file is shorter than it was when the answer began")
    return count


def _read(file: Any, start: int, length: int) -> bytes:
    try:
        file.seek(start)
        data: bytes = file.read(length)
    except OSError as error:
        raise CutShort("the disk does not give what it keeps") from error
    if not data:
        raise CutShort("a stored file is shorter than it was when the answer began")
    return data
