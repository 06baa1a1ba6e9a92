"""A parent that forks children, replaces the dead with back-off, renews them, and ends them in order.

It starts no thread and imports nothing heavy, so that forking stays safe for as long as it lives.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from dicomweb_gateway.service.child import SIGNALS, Child
from dicomweb_gateway.service.reloading import Reload, Renewal
from dicomweb_gateway.service.reports import Reports
from dicomweb_gateway.telemetry.catalogue import PROCESS_ENDS
from dicomweb_gateway.telemetry.meters import count

_LOG = logging.getLogger(__name__)

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_TICK = 5.0
_SHORT_TICK = 0.1
_HANG_SECONDS = 60.0
"""A child that was ready and has said nothing for this long is killed and replaced."""


class Supervisor:
    """Runs children until SIGTERM or SIGINT.

    At SIGHUP `renewal` gives successors of the children that are `renewed`; once all of them are ready they
    take over, else nothing changes. `grace_seconds` is how long children may take to finish what they do
    before they are killed. `ending` is called before all are ended, `ended` after one or some have ended.
    """

    def __init__(
        self,
        children: Sequence[Child],
        renewal: Renewal | None = None,
        grace_seconds: float = 15.0,
        reports: Reports | None = None,
        ending: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = list(children)
        self._grace = grace_seconds
        self._reports = reports or Reports()
        self._reload = Reload(renewal, grace_seconds, self._reports)
        self._ending = ending
        self._ended = ended
        self._some_ended = False
        self._announced = False

    def run(self) -> int:
        """Fork and watch; the exit code for the process.

        A child that ends with 2 (usage) before it has ever been steady ends all.
        """
        with _blocked_signals():
            try:
                for child in self._children:
                    child.start()
                return self._watch()
            finally:
                self._reports.stopping()
                self._ending()
                self._end_all()

    def _watch(self) -> int:
        while True:
            arrived = signal.sigtimedwait(SIGNALS, self._patience())
            number = arrived.si_signo if arrived is not None else 0
            if number in (signal.SIGTERM, signal.SIGINT):
                return 0
            code = self._reap()
            if code:
                return code
            self._restart_due()
            if self._some_ended:
                # after the successor's start, which has more haste
                self._some_ended = False
                self._ended()
            if number == signal.SIGHUP:
                self._reload.begin(self._children)
            self._look_after()

    def _patience(self) -> float:
        """Seconds until there is something to do, if no signal comes."""
        if not self._announced or self._reload.is_busy:
            return _SHORT_TICK
        now = time.monotonic()
        due = [child.due_at - now for child in self._children if child.due_at]
        return max(0.0, min([*due, self._reports.interval(_TICK)]))

    def _look_after(self) -> None:
        self._children = self._reload.go_on(self._children)
        for child in self._children:
            if child.hangs(_HANG_SECONDS):
                _LOG.error("%s hangs and is killed", child.name)
                child.signal(signal.SIGKILL)
            elif child.is_steady:
                child.was_steady, child.failures = True, 0
                child.note()
        if not self._announced and all(child.is_ready for child in self._children if not child.once):
            self._announced = True
            self._reports.started()
        self._reports.look(self._children)

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
            self._some_ended = True
            child = next((c for c in self._children if c.pid == pid), None)
            if child is None:
                self._reload.ended(pid, code)
                continue
            if code == 2 and not child.was_steady:
                child.pid = 0
                _LOG.error("%s refused to start", child.name)
                return 2
            if child.once and code == 0:
                child.pid = 0
                continue
            self._schedule(child, code)

    def _schedule(self, child: Child, code: int) -> None:
        count(PROCESS_ENDS, (child.name.rstrip("0123456789 ").replace(" ", "_"),))
        child.failures = 0 if child.is_steady else child.failures + 1
        child.restarts += 1
        child.died()
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**child.failures) if child.failures else 0.0
        child.due_at = time.monotonic() + delay
        _LOG.warning("%s ended with %d, replaced in %.1f s", child.name, code, delay)

    def _restart_due(self) -> None:
        for child in self._children:
            if child.pid == 0 and child.due_at and child.due_at <= time.monotonic():
                child.start()

    def _end_all(self) -> None:
        everybody = [*self._children, *self._reload.others]
        for order in sorted({child.order for child in everybody}):
            group = [child for child in everybody if child.order == order and child.pid]
            for child in group:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + self._grace
            for child in group:
                _wait(child, deadline)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: Child, deadline: float) -> None:
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
