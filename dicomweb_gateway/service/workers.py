"""The worker threads of a web process: requests in turn, long answers and metadata on a part of them."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, NamedTuple, Protocol, TypeVar

from dicomweb_gateway.telemetry.catalogue import REFUSALS, WAITING
from dicomweb_gateway.telemetry.meters import count

_LOG = logging.getLogger(__name__)

MOST_IN_LINE = 4096
"""Requests for metadata that may wait for a thread."""
LONGEST_IN_LINE = 60.0
"""Seconds that one of them may wait; whoever comes later is told to come again."""
_TOO_MANY = "too many requests for metadata wait"


class Errand(Protocol):
    """Something for a worker thread."""

    def service(self) -> None:
        """Do it."""
        ...


class Work(Errand, Protocol):
    """A connection with a request."""

    @property
    def stands_in_line(self) -> bool:
        """Whether many of its kind must not take all threads."""
        ...

    def refuse(self, reason: str) -> None:
        """Have `service` say no more than that it cannot be done now."""
        ...


_E = TypeVar("_E", bound=Errand)


class _Waiting(NamedTuple, Generic[_E]):
    work: _E
    since: float
    """time.monotonic"""


class _Lane(Generic[_E]):
    """Work of one kind, of which `places` are done at once, in the order in which they came."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._line: deque[_Waiting[_E]] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def enter(self, work: _E) -> bool:
        """Whether it may be done now; else it waits."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            self._line.append(_Waiting(work, time.monotonic()))
            return False

    def leave(self) -> _Waiting[_E] | None:
        """One has been done: who takes its place."""
        with self._lock:
            if self._line:
                return self._line.popleft()
            self._free += 1
            return None


class Workers:
    """`count` threads in place of waitress's dispatcher.

    Long answers go on step by step: a step is begun only while fewer than half of the threads do such. What
    stands in line (metadata, of which a viewer asks for hundreds at once) has three eighths of the threads.
    The rest is there for other requests however many there are of both.
    """

    def __init__(
        self, count: int, most_in_line: int = MOST_IN_LINE, longest_in_line: float = LONGEST_IN_LINE
    ) -> None:
        self._queue: SimpleQueue[tuple[Errand, Callable[[], None] | None]] = SimpleQueue()
        self._most_in_line = most_in_line
        self._longest_in_line = longest_in_line
        self._steps: _Lane[Errand] = _Lane(max(1, count // 2))
        self._line: _Lane[Work] = _Lane(max(1, count * 3 // 8))
        for number in range(count):
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True).start()

    @property
    def pressed(self) -> bool:
        """Whether work waits for a thread."""
        return not self._queue.empty() or bool(self._steps)

    def add_task(self, work: Work) -> None:
        """Have a request begun."""
        if not work.stands_in_line:
            self._put(work, None)
        elif len(self._line) >= self._most_in_line:
            count(REFUSALS, ("metadata_line",))
            work.refuse(_TOO_MANY)
            self._put(work, None)
        elif self._line.enter(work):
            self._put(work, self._next_in_line)

    def add_step(self, work: Errand) -> None:
        """Have a long answer continued, as soon as it is its turn."""
        if self._steps.enter(work):
            self._put(work, self._next_step)

    def _run(self) -> None:
        while True:
            work, done = self._queue.get()
            count(WAITING, (), -1)
            try:
                work.service()
            except BaseException:
                _LOG.exception("a request failed outside the application")
            if done is not None:
                done()

    def _put(self, work: Errand, done: Callable[[], None] | None) -> None:
        count(WAITING)
        self._queue.put((work, done))

    def _next_step(self) -> None:
        following = self._steps.leave()
        if following is not None:
            self._put(following.work, self._next_step)

    def _next_in_line(self) -> None:
        following = self._line.leave()
        if following is None:
            return
        if time.monotonic() - following.since > self._longest_in_line:
            following.work.refuse(_TOO_MANY)
        self._put(following.work, self._next_in_line)
