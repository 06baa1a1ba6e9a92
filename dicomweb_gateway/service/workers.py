"""The worker threads of a web process: short requests in turn, long answers on at most half of them."""

import logging
import threading
from collections import deque
from queue import SimpleQueue
from typing import Protocol

_LOG = logging.getLogger(__name__)


class Work(Protocol):
    """Something for a worker thread, such as a connection with a request."""

    def service(self) -> None:
        """Do it."""
        ...


class Workers:
    """`count` threads in place of waitress's dispatcher.

    Long answers go on step by step: a step is begun only while fewer than half of the threads do such, so the
    other half is there for requests however many long answers there are.
    """

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[tuple[Work, bool]] = SimpleQueue()
        self._lock = threading.Lock()
        self._free_steps = max(1, count // 2)
        self._steps: deque[Work] = deque()
        for number in range(count):
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True).start()

    @property
    def pressed(self) -> bool:
        """Whether work waits for a thread."""
        return not self._queue.empty() or bool(self._steps)

    def add_task(self, work: Work) -> None:
        """Have a request begun."""
        self._queue.put((work, False))

    def add_step(self, work: Work) -> None:
        """Have a long answer continued, as soon as it is its turn."""
        with self._lock:
            if not self._free_steps:
                self._steps.append(work)
                return
            self._free_steps -= 1
        self._queue.put((work, True))

    def _run(self) -> None:
        while True:
            work, is_step = self._queue.get()
            try:
                work.service()
            except BaseException:
                _LOG.exception("a request failed outside the application")
            if is_step:
                self._step_ended()

    def _step_ended(self) -> None:
        with self._lock:
            if not self._steps:
                self._free_steps += 1
                return
            work = self._steps.popleft()
        self._queue.put((work, True))
