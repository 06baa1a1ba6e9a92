"""One process that the master forks, and what it does first."""

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dicomweb_gateway.service.board import Row
from dicomweb_gateway.telemetry.meters import SharedMeters, start

_LOG = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""What the master waits for; blocked there otherwise."""
STEADY_SECONDS = 5.0
"""A child that has lived for longer has not failed to start."""


@dataclass(slots=True, eq=False)
class Child:
    """One process to keep alive. `run` is called in the fork; returning from it is a clean exit.

    `once`: not replaced when it exits with 0. `order`: children with a lower one are ended first. `renewed`:
    a reload replaces it; `farewell` is the signal that tells it so. `row` is where it says that it is well;
    without one it counts as ready from the start. `end_by` is when it is killed (time.monotonic).
    """

    name: str
    run: Callable[[], None]
    order: int = 0
    once: bool = False
    renewed: bool = False
    farewell: signal.Signals = signal.SIGTERM
    row: Row | None = None
    pid: int = 0
    started_at: float = 0.0
    failures: int = 0
    restarts: int = 0
    due_at: float = 0.0
    end_by: float = 0.0
    was_steady: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it runs and does its work."""
        return bool(self.pid) and (self.row is None or self.row.beat > 0)

    @property
    def is_steady(self) -> bool:
        """Whether it has been so for a while."""
        return self.is_ready and time.monotonic() - self.started_at > STEADY_SECONDS

    def hangs(self, seconds: float) -> bool:
        """Whether it was ready once and has not been well for `seconds`."""
        beat = self.row.beat if self.row is not None and self.pid else 0.0
        return bool(beat) and time.monotonic() - beat > seconds

    def died(self) -> None:
        """It is no more, which others are told."""
        self.pid = 0
        if self.row is not None:
            self.row.starts()
        self.note()

    def note(self) -> None:
        """Tell others of its failures."""
        if self.row is not None:
            self.row.count(self.failures, self.restarts)

    def start(self) -> None:
        """Fork it."""
        if self.row is not None:
            self.row.starts()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(_run_forked(self))
        self.pid, self.started_at, self.due_at, self.end_by = pid, time.monotonic(), 0.0, 0.0
        _LOG.info("%s started, pid %d", self.name, pid)

    def signal(self, number: int) -> None:
        """Send `number`, if it runs."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _run_forked(child: Child) -> int:
    """The child's life; its exit code. Nothing of the parent's signal handling stays."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # the row of numbers is the parent's; a child that has one of its own says so itself
    start(SharedMeters().claim("master"))
    _die_with_parent()
    # the terminal sends Ctrl-C to all of us; the parent ends the children in order
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.run()
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        _LOG.exception("%s failed", child.name)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _die_with_parent() -> None:
    """SIGTERM for this process when the parent is killed, so that no orphan keeps the port (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
