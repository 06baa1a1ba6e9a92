"""Files that may be lost, by name: shared by all processes of a host, checked, swept by a byte budget.

A file is `<root>/<2 hex>/<hash of its name><suffix>`: a header (magic, CRC-32, payload length), then the
payload. It is written beside and renamed, so a name stands for a complete file; what is torn, short or
corrupt is a miss and is removed.
"""

import fcntl
import itertools
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from isal.isal_zlib import crc32

from dicomweb_gateway.telemetry.catalogue import CACHE_EVICTIONS
from dicomweb_gateway.telemetry.meters import count

HEADER = struct.Struct("<4sIQ")
_MAGIC = b"DGK1"
_CHUNK = 1 << 20
_TOUCH_SECONDS = 60
_ABANDONED_SECONDS = 3600
_SWEEPS_PER_BUDGET = 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05
"""Seconds between looks at a lock; hundreds of threads may wait for locks at once."""
_MOST_VERIFIED = 4096
_SETTLED = 100_000_000
"""Nanoseconds after a change from which on the next one surely gets another time."""
_PART = ".part"
_NUMBERS = itertools.count()


class KeptFile(NamedTuple):
    """An open file whose payload, `length` bytes from `HEADER.size` on, passed its CRC-32 as it is.

    Whoever gets it closes the descriptor. `written_at` is in seconds since 1970.
    """

    descriptor: int
    length: int
    written_at: float


_TIERS = {".document": "documents", ".gz": "ready_metadata", ".picture": "pictures"}
"""What the metrics call files by their ending."""


class KeptFiles:
    """The files of one kind below `root`, of at most `budget` bytes in all, least recently used first out.

    A sweep follows each sixteenth of the budget that this process wrote, so every process may exceed the
    budget by that much.
    """

    def __init__(self, root: Path, budget: int, suffix: str) -> None:
        self._root = root
        self._budget = budget
        self._suffix = suffix
        self._verified: dict[tuple[str, int, int], None] = {}
        # the first file that is written finds out what lies here already
        self._unswept = budget

    def path(self, name: str) -> Path:
        """Where the file called `name` lies or would lie."""
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return self._root / digest[:2] / f"{digest[2:]}{self._suffix}"

    def open(self, name: str, touch: bool = True) -> KeptFile | None:
        """The file, marked as used if `touch`; None when it is missing, torn or corrupt."""
        path = self.path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            length = self._checked_length(descriptor, path.name, status)
            if touch and length is not None and time.time() - status.st_mtime > _TOUCH_SECONDS:
                os.utime(descriptor)
        except OSError:
            length = None
        if length is None:
            os.close(descriptor)
            remove(path)
            return None
        return KeptFile(descriptor, length, status.st_mtime)

    def draft(self, name: str) -> "Draft":
        """A new file called `name`, to be written; nobody sees it before `Draft.keep`."""
        return Draft(self, self.path(name))

    def remove(self, name: str) -> None:
        """Drop the file, if the disk lets us."""
        remove(self.path(name))

    def note_written(self, length: int) -> None:
        """Count what was kept; sweeps when it is time."""
        self._unswept += length
        if self._unswept * _SWEEPS_PER_BUDGET >= self._budget:
            self._unswept = 0
            self.sweep()

    def sweep(self) -> None:
        """Bring the files below the budget, least recently used first; the newest one always stays."""
        now = time.time()
        entries: list[tuple[float, int, str]] = []
        for entry in self._entries():
            with suppress(OSError):
                status = entry.stat()
                if not entry.name.endswith(_PART):
                    entries.append((status.st_mtime, status.st_size, entry.path))
                elif now - status.st_mtime > _ABANDONED_SECONDS:
                    os.unlink(entry.path)
        surplus = sum(size for _, size, _ in entries) - self._budget
        entries.sort()
        for _, size, path in entries[:-1]:
            if surplus <= 0:
                return
            remove(Path(path))
            count(CACHE_EVICTIONS, (_TIERS.get(self._suffix, "files"),))
            surplus -= size

    @contextmanager
    def lock(self, name: str, patience: float | None = None) -> Iterator[bool]:
        """One process and thread at a time per name; True when the lock is ours.

        `patience` is how many seconds to wait for it, None for as long as it takes. Without a usable disk
        there is nothing to share: True. Sixteen locks a folder: one a name would never be cleaned up.
        """
        path = self.path(name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(
                path.parent / f"{path.name[0]}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError:
            yield True
            return
        try:
            yield _flock(handle, patience)
        finally:
            os.close(handle)

    def _checked_length(self, descriptor: int, name: str, status: os.stat_result) -> int | None:
        """The payload's length, None unless it is whole and right; it is read anew after each change."""
        raw = os.pread(descriptor, HEADER.size, 0)
        if len(raw) < HEADER.size:
            return None
        magic, stated, length = HEADER.unpack(raw)
        if magic != _MAGIC or status.st_size != HEADER.size + length:
            return None
        identity = (name, status.st_ino, status.st_ctime_ns)
        if identity not in self._verified:
            if not _is_right(descriptor, name, stated):
                return None
            if time.time_ns() - status.st_ctime_ns > _SETTLED:
                if len(self._verified) >= _MOST_VERIFIED:
                    self._verified = {}
                self._verified[identity] = None
        return int(length)

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with suppress(OSError), os.scandir(self._root) as folders:
            for folder in folders:
                with suppress(OSError), os.scandir(folder.path) as entries:
                    yield from (one for one in entries if one.name.endswith((self._suffix, _PART)))


class Draft:
    """A file that is being written; a full or failing disk only means that it is not kept."""

    def __init__(self, files: KeptFiles, path: Path) -> None:
        self._files = files
        self._path = path
        self._beside = path.with_name(f"{path.name}.{os.getpid()}-{next(_NUMBERS)}{_PART}")
        self._checksum = crc32(path.name.encode())
        self._length = 0
        self._descriptor = -1
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._beside, flags, 0o600)
            os.lseek(self._descriptor, HEADER.size, os.SEEK_SET)
        except OSError:
            self.drop()

    def write(self, data: bytes) -> None:
        """Append to the payload."""
        if self._descriptor < 0:
            return
        self._checksum = crc32(data, self._checksum)
        self._length += len(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self.drop()

    def keep(self) -> KeptFile | None:
        """Give the file its name, and give it, open; None when the disk did not take it all."""
        if self._descriptor < 0:
            return None
        try:
            os.pwrite(self._descriptor, HEADER.pack(_MAGIC, self._checksum, self._length), 0)
            os.replace(self._beside, self._path)
        except OSError:
            self.drop()
            return None
        kept = KeptFile(self._descriptor, self._length, time.time())
        self._descriptor = -1
        self._files.note_written(self._length)
        return kept

    def drop(self) -> None:
        """Forget what was written; nothing happens after `keep`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            remove(self._beside)


def remove(path: Path) -> None:
    """Delete `path` if the disk lets us; a file that stays is found out by whoever reads it."""
    with suppress(OSError):
        path.unlink()


def _is_right(descriptor: int, name: str, stated: int) -> bool:
    checksum = crc32(name.encode())
    offset = HEADER.size
    while chunk := os.pread(descriptor, _CHUNK, offset):
        checksum = crc32(chunk, checksum)
        offset += len(chunk)
    return bool(checksum == stated)


def _flock(handle: int, patience: float | None) -> bool:
    if patience is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
