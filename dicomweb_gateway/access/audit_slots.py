"""Lines of the audit log for answers that are under way, where they outlive a process that is killed.

Before the first byte of an answer goes out what is known of its line is put into a slot of a file beside the
log, which is mapped into memory: that takes no call of the system, and the kernel keeps it whatever becomes
of the process. When the line has been written the slot is free again. Of what a dead process has left the
master writes the lines (`left_behind`).
"""

import fcntl
import logging
import mmap
import os
import re
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dicomweb_gateway.access.audit_lines import is_left_line

_LOG = logging.getLogger(__name__)
_SLOTS = 2048
_SLOT_BYTES = 2048
_HEAD = struct.Struct("<Id")
"""Bytes of the line, 0 in a free slot; the moment (Unix time) when it was put there."""
LONGEST = _SLOT_BYTES - _HEAD.size
"""Bytes of a line that a slot holds."""
_END = ".under-way"
_MOMENTS = (0.0, 2.0**33)
"""Unix times that are dates."""


class AuditSlots:
    """The file of this process; safe from any thread."""

    def __init__(self, log: Path) -> None:
        """Make the file beside the log at `log`; OSError where that cannot be done."""
        self._path = log.parent / f".{log.name}.{os.urandom(8).hex()}{_END}"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # of this process alone, and gone with it however it ends
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a page for which the disk has no room would be the end of the process that writes there
            os.posix_fallocate(self._file, 0, _SLOTS * _SLOT_BYTES)
            self._map = mmap.mmap(self._file, _SLOTS * _SLOT_BYTES)
        except OSError:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self._free = list(range(_SLOTS))[::-1]

    @classmethod
    def beside(cls, log: Path) -> "AuditSlots | None":
        """The slots of this process, None where there is no room for them."""
        try:
            return cls(log)
        except OSError as error:
            _LOG.warning("the audit log loses lines if a process is killed: %s", error.strerror or error)
            return None

    def put(self, line: bytes) -> int | None:
        """The slot that holds `line` (`LONGEST` bytes at most) from now on; None when there is none left."""
        try:
            # one step, like the append below: no lock is needed
            slot = self._free.pop()
        except IndexError:
            return None
        start = slot * _SLOT_BYTES
        self._map[start + _HEAD.size : start + _HEAD.size + len(line)] = line
        # last: a line that is not all there is none
        _HEAD.pack_into(self._map, start, len(line), time.time())
        return slot

    def free(self, slot: int) -> None:
        """The line in `slot` has been written."""
        _HEAD.pack_into(self._map, slot * _SLOT_BYTES, 0, 0.0)
        self._free.append(slot)

    def close(self) -> None:
        """This process ends; the file goes unless lines are left in it, which the master then writes."""
        if len(self._free) == _SLOTS:
            self._path.unlink(missing_ok=True)
        self._map.close()
        os.close(self._file)


def left_behind(log: Path) -> Iterator[tuple[Path, list[tuple[float, bytes]]]]:
    """Files of processes that are no more, each with its lines and their moments; who has written them
    removes the file."""
    known = re.compile(rf"\.{re.escape(log.name)}\.[0-9a-f]{{16}}{re.escape(_END)}")
    for path in sorted(one for one in log.parent.iterdir() if known.fullmatch(one.name)):
        with suppress(OSError), path.open("r+b") as file:
            if not os.fstat(file.fileno()).st_size:
                # its process may be about to lock it
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path, list(_lines_in(file.read()))


def _lines_in(content: bytes) -> Iterator[tuple[float, bytes]]:
    """What is whole in a file; after a loss of power anything may stand there."""
    for start in range(0, len(content) - _SLOT_BYTES + 1, _SLOT_BYTES):
        length, moment = _HEAD.unpack_from(content, start)
        if 0 < length <= LONGEST:
            first = start + _HEAD.size
            line = content[first : first + length]
            if _MOMENTS[0] < moment < _MOMENTS[1] and is_left_line(line):
                yield moment, line
