"""Small files that people change while the gateway runs: tokens, users."""

import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from dicomweb_gateway.errors import SettingsError

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_MOST_BYTES = 16 << 20
_T = TypeVar("_T")
_State = tuple[int, int, int]


class WatchedFile(Generic[_T]):
    """What `parse` makes of the text of the file at `path`, made anew when the file has changed.

    `parse` raises SettingsError for a text that cannot be used. A file that is torn, or away, leaves what was
    read last in force, at the start `empty`. `secret`: a warning tells when others may read it.
    """

    def __init__(self, path: Path, parse: Callable[[str], _T], empty: _T, secret: bool = False) -> None:
        self._path = path
        self._parse = parse
        self._content = empty
        self._secret = secret
        self._state: _State | None = None
        self._look_at = float("-inf")
        self._lock = Lock()
        self.reread()

    @property
    def content(self) -> _T:
        """What the file holds, at most a second late."""
        now = time.monotonic()
        if now >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = now + _LOOK_SECONDS
                self._look()
            finally:
                self._lock.release()
        return self._content

    def reread(self) -> None:
        """Look at the file now."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        state = _state_of(self._path)
        if state == self._state:
            return
        self._state = state
        if state is None:
            _LOG.warning("%s is not there or cannot be read; what was read of it stays in force", self._path)
            return
        try:
            self._content = self._parse(read_text(self._path))
        except SettingsError as error:
            _LOG.error("%s; what was read of it before stays in force", error)
            return
        _LOG.info("%s has been read", self._path)
        warn_of_mode(self._path, self._secret)


def read_text(path: Path) -> str:
    """The text of the file; SettingsError, one sentence, when there is none to read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{path} is too large")
        return path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8") from None


def warn_of_mode(path: Path, secret: bool) -> None:
    """A warning when others may write the file or, of a secret one, read it."""
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH or (secret and mode & stat.S_IROTH):
        _LOG.warning("other users of this machine may read or write %s: chmod 600 it", path)


def _state_of(path: Path) -> _State | None:
    """What changes when the file does; None when it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
