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
_SAY_SECONDS = 60.0
_GONE_SECONDS = 10.0
"""Editors and deployments take a file away for a moment before they put a new one in its place."""
_MOST_BYTES = 16 << 20
_T = TypeVar("_T")
_State = tuple[int, int, int]
_AWAY: _State = (-1, -1, -1)
_UNSEEN: _State = (-2, -2, -2)
"""It may be there, but nobody lets us look: reading it says why."""


class WatchedFile(Generic[_T]):
    """What `parse` makes of the text of the file at `path`, made anew when the file has changed.

    `parse` raises SettingsError for a text that cannot be used. A file that is torn, or cannot be looked at,
    leaves what was read last in force, at the start `empty`. One that has been away for 10 seconds is
    `empty`: who removes it wants nobody in it to come in any more. Both are logged again each minute, and
    `trouble` says it. `secret`: a warning tells when others may read it.
    """

    def __init__(self, path: Path, parse: Callable[[str], _T], empty: _T, secret: bool = False) -> None:
        self._path = path
        self._parse = parse
        self._content = self._empty = empty
        self._trouble: str | None = None
        self._say_at = self._gone_at = float("inf")
        self._secret = secret
        self._state = _AWAY
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

    @property
    def trouble(self) -> str | None:
        """Why what is in force is not what the file says, None when it is; names no path."""
        _ = self.content
        return self._trouble

    def reread(self) -> None:
        """Look at the file now."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        state = _state_of(self._path)
        if state == self._state:
            self._still(now)
            return
        self._state, self._gone_at = state, float("inf")
        if state == _AWAY:
            self._gone_at = now + _GONE_SECONDS
            self._complain(now, f"{self._path} is gone", "a file of logins is gone")
            return
        try:
            self._content = self._parse(read_text(self._path))
        except SettingsError as error:
            self._complain(
                now, f"{error}; what was read of it before stays in force", "a file of logins cannot be used"
            )
            return
        self._trouble, self._say_at = None, float("inf")
        _LOG.info("%s has been read", self._path)
        warn_of_mode(self._path, self._secret)

    def _still(self, now: float) -> None:
        """The file is as it was: in what is wrong with it nothing has changed but time."""
        if now >= self._gone_at:
            self._content, self._gone_at = self._empty, float("inf")
            _LOG.error("%s is gone: nobody who stood in it comes in any more", self._path)
        if self._trouble is not None and now >= self._say_at:
            self._complain(now, f"{self._path}: still so: {self._trouble}", self._trouble)

    def _complain(self, now: float, line: str, trouble: str) -> None:
        self._trouble, self._say_at = trouble, now + _SAY_SECONDS
        _LOG.error("%s", line)


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


def _state_of(path: Path) -> _State:
    """What changes when the file does."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return _AWAY
    except OSError:
        return _UNSEEN
    return found.st_mtime_ns, found.st_size, found.st_ino
