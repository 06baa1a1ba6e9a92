"""Import workers as child processes, one task each at a time, replaced when they die or hang."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from threading import Event
from typing import Any

from dicomweb_gateway.emulator.ingest.tasks import Answer, Died, Task

_WORKER = "dicomweb_gateway.emulator.ingest.worker"
_POLL = 0.5
TIME_LIMIT = 900.0
"""Seconds that one task may take before its worker is killed."""

log = logging.getLogger(__name__)


class _Worker:
    """One child process and the task it is at; `since` is when that began (monotonic seconds)."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  # our own module, no outside text
                [sys.executable, "-m", _WORKER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self.task: Task | None = None
        self.since = 0.0

    def give(self, task: Task) -> bool:
        """Whether the worker took the task; False when it is dead, as waiting for its answer shows."""
        self.task, self.since = task, time.monotonic()
        try:
            self.connection.send(task)
        except OSError:
            return False
        return True

    def end(self) -> int:
        """Stop the process; returns its exit code."""
        self.connection.close()
        self.process.kill()
        return self.process.wait()


class WorkerPool:
    """Up to `size` workers, started when there is something to do; `close` ends them."""

    def __init__(self, size: int | None = None, time_limit: float = TIME_LIMIT) -> None:
        self._size = size or os.cpu_count() or 1
        self._time_limit = time_limit
        self._idle: list[_Worker] = []

    def run(self, tasks: Iterable[Task], stop: Event) -> Iterator[tuple[Task, Answer]]:
        """Answers in the order in which they come; no more tasks are taken than workers are free.

        A task whose worker dies or exceeds the time is answered with Died. Ends early, without the
        missing answers, when `stop` is set.
        """
        pending = iter(tasks)
        busy: dict[Connection[Any, Any], _Worker] = {}
        exhausted = False
        try:
            while not stop.is_set():
                while not exhausted and len(busy) < self._size:
                    task = next(pending, None)
                    if task is None:
                        exhausted = True
                    else:
                        worker = self._started(task)
                        busy[worker.connection] = worker
                if not busy:
                    return
                for connection in wait(list(busy), _POLL):
                    yield self._finished(busy.pop(connection))  # type: ignore[call-overload]
                for worker in [w for w in busy.values() if time.monotonic() - w.since > self._time_limit]:
                    del busy[worker.connection]
                    yield self._overdue(worker)
        finally:
            for worker in busy.values():
                worker.end()

    def close(self) -> None:
        """End all workers."""
        while self._idle:
            self._idle.pop().end()

    def _started(self, task: Task) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.give(task):
                return worker
            worker.end()
        worker = _Worker()
        worker.give(task)
        return worker

    def _finished(self, worker: _Worker) -> tuple[Task, Answer]:
        task = worker.task
        if task is None:
            raise RuntimeError("an import process answered without a task")
        try:
            answer: Answer = worker.connection.recv()
        except (EOFError, OSError):
            code = worker.end()
            log.warning("an import process died with exit code %s at %s", code, task)
            return task, Died(f"the import process died over this file (exit code {code})")
        worker.task = None
        self._idle.append(worker)
        return task, answer

    def _overdue(self, worker: _Worker) -> tuple[Task, Answer]:
        task = worker.task
        if task is None:
            raise RuntimeError("an import process is overdue without a task")
        worker.end()
        return task, Died(f"importing took longer than {self._time_limit:.0f} seconds")
