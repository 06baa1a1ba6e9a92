"""The audit log: a file of JSON lines, only ever appended to; the one place where patients' data are logged.

Each line is one write to a file opened for appending, so lines of several processes never mix. Before each
the name is looked at: where it leads to another file, or to none, since the log has been rotated, that one is
opened. Lines are ASCII: whatever a client sent can neither end a line nor look like another.
"""

import logging
import os
import time
from collections import deque
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.audit_lines import (
    Went,
    left_line,
    line_of,
    members_of,
    name_in,
    shortened,
    stamp,
    whole_line,
    with_time,
)
from dicomweb_gateway.access.audit_slots import LONGEST, AuditSlots, left_behind
from dicomweb_gateway.errors import AuditUnavailable
from dicomweb_gateway.telemetry.catalogue import AUDIT_FAILURES, AUDIT_LOST
from dicomweb_gateway.telemetry.meters import count

_LOG = logging.getLogger(__name__)
_MODE = 0o600
_TRY_SECONDS = 1.0
_SAY_SECONDS = 60.0
_MOST_WAITING = 10_000
"""Lines that are kept while the file cannot be written."""

_TAIL_BYTES = 4 << 20
"""Where in the log a line is looked for that a process may have written before it was killed."""


class AuditLog:
    """The log at `path` as one process writes it; safe from any thread.

    While it cannot be written lines wait in memory, a bounded number, and an error is logged once a minute.
    `required`: `check` refuses requests meanwhile. `slots` hold lines of what is under way, where they do.
    """

    def __init__(self, path: Path, required: bool = False, slots: AuditSlots | None = None) -> None:
        self._path = str(path)
        self._slots = slots
        self.is_required = required
        self._lock = Lock()
        self._descriptor = -1
        self._known = (0, 0)
        self._waiting: deque[bytes] = deque()
        self._torn = False
        self._lost = 0
        self._failed: str | None = None
        self._try_at = 0.0
        self._say_at = 0.0

    def open(self) -> None:
        """Open the file, made where it is missing; OSError when that cannot be done."""
        with self._lock:
            self._reopen()

    def close(self) -> None:
        """Close the file, after a last try to write what waits; the next line opens it again."""
        with self._lock:
            if self._waiting:
                self._put(list(self._waiting))
            self._shut()
            slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()

    def begin(self, name: str, event: AuditEvent, status: int, entry: dict[str, Any]) -> "Begun":
        """Have the line of an answer with `status`, which has not begun to go out, survive this process.

        `name` is the id that no other line has, `entry` says who asked what.
        """
        asked = members_of(entry)
        slot = None
        if self._slots is not None:
            line = left_line(name, event, status, asked)
            if len(line) > LONGEST:
                line = left_line(name, event, status, members_of(shortened(entry)))
            slot = self._slots.put(line) if len(line) <= LONGEST else None
        return Begun(name, asked, slot)

    def end(self, begun: "Begun", went: Went) -> None:
        """Append the line of an answer that is over."""
        self._write(whole_line(begun.name, went, begun.asked))
        if begun.slot is not None and self._slots is not None:
            self._slots.free(begun.slot)

    def write(self, entry: dict[str, Any]) -> None:
        """Append `entry`, which gets the time (UTC) before all else; never raises for the file's sake."""
        self._write(line_of({"time": stamp(), **entry}))

    def take_over(self) -> None:
        """Append the lines of answers that processes had under way when they were killed, each once."""
        for path, lines in left_behind(Path(self._path)):
            written = self._tail() if lines else b""
            for moment, line in lines:
                if name_in(line) not in written:
                    self._write(with_time(line, moment))
            if self._failed is not None:
                # next time: what has been written by then is known by its id
                self._waiting.clear()
                return
            if lines:
                _LOG.warning("audit lines of %d answers come from a process that was killed", len(lines))
            path.unlink(missing_ok=True)

    def _tail(self) -> bytes:
        """The end of the file."""
        try:
            with open(self._path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL_BYTES))
                return file.read()
        except OSError:
            return b""

    def _write(self, line: bytes) -> None:
        with self._lock:
            if self._failed is None or self._may_try():
                self._put([*self._waiting, line])
            else:
                self._keep(line)

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written, None when it can; what waits is tried again first."""
        with self._lock:
            if self._failed is not None and self._may_try():
                self._put(list(self._waiting))
            return self._failed

    def check(self) -> None:
        """AuditUnavailable where nothing may be answered that is not logged, and nothing can be."""
        if self.is_required and self._failed is not None and self.trouble is not None:
            raise AuditUnavailable("the audit log cannot be written")

    def _may_try(self) -> bool:
        return time.monotonic() >= self._try_at

    def _put(self, lines: list[bytes]) -> None:
        """Write `lines`, which hold all that waits; what cannot be written waits on."""
        self._waiting.clear()
        for number, line in enumerate(lines):
            try:
                self._append(line)
            except OSError as error:
                self._fail(error)
                for left in lines[number:]:
                    self._keep(left)
                return
        if self._failed is not None:
            _LOG.warning("the audit log can be written again; %d lines were lost", self._lost)
            self._failed, self._lost = None, 0

    def _append(self, line: bytes) -> None:
        self._follow()
        whole = b"\n" + line if self._torn else line
        written = os.write(self._descriptor, whole)
        # the rest is written by itself: a full disk takes a part of a line
        self._torn = written != len(whole)
        if self._torn:
            self._take_back(written)
            raise OSError(f"{written} of {len(whole)} bytes were written")

    def _take_back(self, written: int) -> None:
        """Cut off the part of a line that was written last, lest another process's line is glued to it."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if end >= written and os.fstat(self._descriptor).st_size == end:
            os.ftruncate(self._descriptor, end - written)
            self._torn = False

    def _follow(self) -> None:
        """Have the file open that bears the name now."""
        if self._descriptor >= 0:
            try:
                there = os.stat(self._path)
            except FileNotFoundError:
                pass
            else:
                if (there.st_dev, there.st_ino) == self._known:
                    return
        self._reopen()

    def _reopen(self) -> None:
        self._shut()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, _MODE)
        opened = os.fstat(self._descriptor)
        self._known = (opened.st_dev, opened.st_ino)
        self._torn = False

    def _shut(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _keep(self, line: bytes) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._lost += 1
            count(AUDIT_LOST)
            return
        self._waiting.append(line)

    def _fail(self, error: OSError) -> None:
        count(AUDIT_FAILURES)
        self._failed = f"the audit log cannot be written: {error.strerror or error}"
        now = time.monotonic()
        self._try_at = now + _TRY_SECONDS
        if now >= self._say_at:
            self._say_at = now + _SAY_SECONDS
            _LOG.error("%s (%s)", self._failed, self._path)


class Begun(NamedTuple):
    """A line that is to be written: its id, who asked what as members of it, and its slot."""

    name: str
    asked: bytes
    slot: int | None
