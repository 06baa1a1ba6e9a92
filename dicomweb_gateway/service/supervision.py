"""A parent that forks children, replaces the dead with back-off, and ends them in order.

It starts no thread and imports nothing heavy, so that forking stays safe for as long as it lives.
"""

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dicomweb_gateway.telemetry.catalogue import PROCESS_ENDS
from dicomweb_gateway.telemetry.meters import SharedMeters, count, start

_LOG = logging.getLogger(__name__)

_STEADY_SECONDS = 5.0
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_TICK = 5.0
_PR_SET_PDEATHSIG = 1
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})


@dataclass(slots=True)
class Child:
    """One process to keep alive. `run` is called in the fork; returning from it is a clean exit.

    `once`: not replaced when it exits with 0. `order`: children with a lower one are ended first.
    """

    name: str
    run: Callable[[], None]
    order: int = 0
    once: bool = False
    pid: int = 0
    started_at: float = 0.0
    failures: int = 0
    due_at: float = 0.0


class Supervisor:
    """Runs children until SIGTERM or SIGINT; SIGHUP replaces those that `reloads` names, one after another.

    `grace_seconds` is how long children may take to finish what they do before they are killed.
    """

    def __init__(
        self, children: Sequence[Child], reloads: Callable[[Child], bool], grace_seconds: float = 15.0
    ) -> None:
        self._children = list(children)
        self._reloads = reloads
        self._grace = grace_seconds

    def run(self) -> int:
        """Fork and watch; the exit code for the process. A child that ends with 2 (usage) ends all."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for child in self._children:
                self._start(child)
            return self._watch()
        finally:
            self._end_all()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> int:
        while True:
            arrived = signal.sigtimedwait(_SIGNALS, self._seconds_to_next_start())
            number = arrived.si_signo if arrived is not None else 0
            if number in (signal.SIGTERM, signal.SIGINT):
                return 0
            code = self._reap()
            if code:
                return code
            self._restart_due()
            if number == signal.SIGHUP:
                self._reload()

    def _seconds_to_next_start(self) -> float:
        now = time.monotonic()
        due = [child.due_at - now for child in self._children if child.due_at]
        return max(0.0, min(due, default=_TICK))

    def _start(self, child: Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            child.pid, child.started_at, child.due_at = pid, time.monotonic(), 0.0
            _LOG.info("%s started, pid %d", child.name, pid)
            return
        os._exit(_run_forked(child))

    def _reap(self) -> int:
        """Note who died; the exit code that ends everything, 0 to go on."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == 0:
                return 0
            code = os.waitstatus_to_exitcode(status)
            child = next((c for c in self._children if c.pid == pid), None)
            if child is None:
                continue
            child.pid = 0
            if code == 2:
                _LOG.error("%s refused to start", child.name)
                return 2
            if child.once and code == 0:
                continue
            self._schedule(child, code)

    def _schedule(self, child: Child, code: int) -> None:
        count(PROCESS_ENDS, (child.name.rstrip("0123456789 ").replace(" ", "_"),))
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived > _STEADY_SECONDS else child.failures + 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**child.failures) if child.failures else 0.0
        child.due_at = time.monotonic() + delay
        _LOG.warning("%s ended with %d, replaced in %.1f s", child.name, code, delay)

    def _restart_due(self) -> None:
        for child in self._children:
            if child.pid == 0 and child.due_at and child.due_at <= time.monotonic():
                self._start(child)

    def _reload(self) -> None:
        for child in self._children:
            if self._reloads(child) and child.pid:
                old, child.pid = child.pid, 0
                self._start(child)
                with suppress(ProcessLookupError):
                    os.kill(old, signal.SIGTERM)

    def _end_all(self) -> None:
        for order in sorted({child.order for child in self._children}):
            group = [child for child in self._children if child.order == order and child.pid]
            for child in group:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + self._grace
            for child in group:
                self._wait(child, deadline)

    def _wait(self, child: Child, deadline: float) -> None:
        while child.pid:
            with suppress(ChildProcessError):
                pid, _ = os.waitpid(child.pid, os.WNOHANG)
                if pid == 0 and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                if pid == 0:
                    _LOG.warning("%s did not end in time and is killed", child.name)
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
            child.pid = 0


def _run_forked(child: Child) -> int:
    """The child's life; its exit code. Nothing of the parent's signal handling stays."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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
