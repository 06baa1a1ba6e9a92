"""A reload: successors are started beside the children that serve, and take over once all are ready.

What does not come up is ended again, and those that served go on with the settings that they have.
"""

import logging
import signal
import time
from collections.abc import Callable, Sequence

from dicomweb_gateway.errors import GatewayError
from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.reports import Reports

_LOG = logging.getLogger(__name__)
_START_SECONDS = 60.0
"""How long successors may take until they are ready."""

Renewal = Callable[[], Sequence[Child]]
"""Successors of all children that are renewed, by the settings as they are now; GatewayError."""


class Reload:
    """The reload that is under way, if one is, and the children whose successors have taken over.

    Of those, a child whose name a successor has ends at once, one without (a process fewer) when nobody of a
    lower order is left that may need it. `grace_seconds` is how long they may take.
    """

    def __init__(self, renewal: Renewal | None, grace_seconds: float, reports: Reports) -> None:
        self._renewal = renewal
        self._grace = grace_seconds
        self._reports = reports
        self._coming: list[Child] = []
        self._retiring: list[Child] = []
        self._late: list[Child] = []
        self._ready_by = 0.0
        self._again = False

    @property
    def is_busy(self) -> bool:
        """Whether there is something to look after."""
        return bool(self._coming or self.others)

    @property
    def others(self) -> list[Child]:
        """Processes that are not, or no longer, among those that serve."""
        return [*self._coming, *self._retiring, *self._late]

    def begin(self, children: Sequence[Child]) -> None:
        """Start successors; a reload that comes during another is done after it."""
        if self._coming:
            self._again = True
            return
        self._reports.reloading()
        try:
            coming = list(self._renewal()) if self._renewal is not None else []
        except (GatewayError, OSError) as error:
            self._refuse(str(error))
            return
        except Exception as error:
            _LOG.exception("a reload failed")
            self._refuse(f"{type(error).__name__}: see the log")
            return
        if not coming:
            self._reports.reloaded(None)
            return
        self._coming = coming
        self._ready_by = time.monotonic() + _START_SECONDS
        for child in coming:
            child.start()

    def go_on(self, children: list[Child]) -> list[Child]:
        """The children that serve from now on; others are ended that are due."""
        self._end_late()
        if self._coming and all(child.is_ready for child in self._coming):
            children = self._take_over(children)
        elif self._coming and time.monotonic() > self._ready_by:
            slow = next(child for child in self._coming if not child.is_ready)
            self._give_up(f"{slow.name} was not ready in {_START_SECONDS:g} s")
        if self._again and not self._coming:
            self._again = False
            self.begin(children)
        return children

    def ended(self, pid: int, code: int) -> None:
        """The process `pid`, none of those that serve, has ended."""
        for group in (self._coming, self._retiring, self._late):
            child = next((one for one in group if one.pid == pid), None)
            if child is None:
                continue
            child.pid = 0
            group.remove(child)
            _free(child)
            if group is self._coming:
                self._give_up(f"{child.name} ended with {code} at its start: see the log")
            return

    def _take_over(self, children: list[Child]) -> list[Child]:
        coming, self._coming = self._coming, []
        names = {child.name for child in coming}
        until = time.monotonic() + self._grace
        # of a reload before this one: they have had their time for idle connections
        for child in self._retiring:
            child.signal(signal.SIGTERM)
        old = [child for child in children if child.renewed]
        first = min((child.order for child in old), default=0)
        for child in old:
            if not child.pid:
                _free(child)
            elif child.name in names or child.order == first:
                child.end_by = until
                child.signal(child.farewell)
                self._retiring.append(child)
            else:
                self._late.append(child)
        self._reports.reloaded(None)
        return [*(child for child in children if not child.renewed), *coming]

    def _end_late(self) -> None:
        now = time.monotonic()
        for child in self._retiring:
            if child.end_by and now > child.end_by:
                child.end_by = 0.0
                child.signal(signal.SIGKILL)
        if self._late and not self._retiring:
            self._retiring, self._late = self._late, []
            for child in self._retiring:
                child.end_by = now + self._grace
                child.signal(signal.SIGTERM)

    def _give_up(self, reason: str) -> None:
        coming, self._coming = self._coming, []
        for child in coming:
            child.end_by = time.monotonic() + self._grace
            child.signal(signal.SIGTERM)
        self._retiring += coming
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        _LOG.error("the reload is refused and nothing has changed: %s", reason)
        self._reports.reloaded(reason)


def _free(child: Child) -> None:
    if child.row is not None:
        child.row.free()
