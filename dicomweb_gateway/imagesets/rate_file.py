"""The small file in which the processes of a host keep a rate together."""

import errno
import fcntl
import logging
import os
import time
from pathlib import Path

from dicomweb_gateway.imagesets.rate_bucket import RECORD

_LOOK_AGAIN_SECONDS = 5.0
_LOCK_TRIES = 20

log = logging.getLogger(__name__)


class RateFile:
    """The file of a bucket as this process sees it; kept in memory without `path` or when the disk fails."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        self._owner = 0
        self._look_at = 0.0
        self._locked = False
        self._memory = b""

    def lock(self) -> None:
        """Lock the file; go on without after some milliseconds, as when its holder was stopped."""
        self._open()
        self._locked = False
        for _ in range(_LOCK_TRIES if self._descriptor >= 0 else 0):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._locked = True
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    return
                time.sleep(0.0005)

    def unlock(self) -> None:
        """Let the next one in."""
        if self._locked:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def read(self) -> bytes:
        """The record, or less where the file ends before."""
        if self._descriptor < 0:
            return self._memory
        try:
            return os.pread(self._descriptor, RECORD.size, 0)
        except OSError:
            return b""

    def write(self, raw: bytes) -> None:
        """Keep the record."""
        if self._descriptor >= 0:
            try:
                os.pwrite(self._descriptor, raw, 0)
                return
            except OSError:
                self._forget("cannot be written")
        self._memory = raw

    def _open(self) -> None:
        """Have the file open: again in a forked process, and when another file now has its name."""
        now = time.monotonic()
        if self._path is None or (self._owner == os.getpid() and now < self._look_at):
            return
        self._look_at = now + _LOOK_AGAIN_SECONDS
        if self._owner == os.getpid() and self._is_current(self._path):
            return
        if self._descriptor >= 0:
            # that of a parent process shares its locks
            os.close(self._descriptor)
        self._descriptor = -1
        self._owner = os.getpid()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("rates are not shared between processes: %s cannot be opened (%s)", self._path, error)

    def _is_current(self, path: Path) -> bool:
        if self._descriptor < 0:
            return False
        try:
            there, ours = os.stat(path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _forget(self, reason: str) -> None:
        log.warning("rates are not shared between processes: %s %s", self._path, reason)
        if self._locked:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._locked = False
        os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
