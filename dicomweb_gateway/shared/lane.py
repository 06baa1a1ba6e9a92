"""The way to one cache server: a few threads with a connection each, so that no request waits for it long.

A socket's timeout bounds each read and no whole answer, and looking up a name has none; so threads of their
own ask, and whoever wants an answer waits for that as long as it may and no longer.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Full, Queue
from typing import NamedTuple

from dicomweb_gateway.shared.backend import Backend
from dicomweb_gateway.shared.rest import Rest
from dicomweb_gateway.telemetry.tally import Tally

_LOG = logging.getLogger(__name__)
_ASKING = 4
_WAITING = 64
_PUTS = 256
_TOLD = 20_000
_TOLD_SECONDS = 600.0


class _Get(NamedTuple):
    key: str
    limit: int
    until: float
    answer: "Future[bytes | None]"


class _Put(NamedTuple):
    key: str
    value: bytes
    seconds: int


class Lane:
    """`name` tells the server in logs; `connect` makes a connection, one for each of five threads at most.

    A value is waited for `timeout` seconds. Puts are done later, up to `most_bytes` of them wait. Threads
    start at first use, so a lane may be made before a fork and used after it.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Backend],
        timeout: float,
        counts: Tally,
        most_bytes: int = 8 << 20,
    ) -> None:
        self.name = name
        self._connect = connect
        self._timeout = timeout
        self._counts = counts
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._started = False
        self._gets: Queue[_Get] = Queue(_WAITING)
        self._puts: Queue[_Put] = Queue(_PUTS)
        self._put_bytes = 0
        self._told: OrderedDict[str, float] = OrderedDict()
        self._asking, self._putting = Rest(), Rest()

    def get(self, key: str, limit: int) -> bytes | None:
        """What lies under `key`; None for nothing, and when it does not come in time."""
        if not self._asking.may_ask():
            self._counts.add("skipped")
            return None
        self._start()
        wanted = _Get(key, limit, time.monotonic() + self._timeout, Future())
        try:
            self._gets.put_nowait(wanted)
            return wanted.answer.result(self._timeout)
        except Full:
            self._counts.add("skipped")
        except TimeoutError:
            self._note_failure(self._asking, "late")
        return None

    def put(self, key: str, value: bytes, seconds: int) -> None:
        """Have `value` kept, soon; not what was told a moment ago, nor while too much waits."""
        if self._was_told(key):
            return
        with self._lock:
            fits = self._put_bytes + len(value) <= self._most_bytes
        if not fits or not self._putting.may_ask():
            self._counts.add("dropped")
            return
        self._start()
        try:
            self._puts.put_nowait(_Put(key, value, seconds))
        except Full:
            self._counts.add("dropped")
            return
        with self._lock:
            self._put_bytes += len(value)

    @property
    def is_down(self) -> bool:
        """Whether the server is left alone, as it has failed again and again."""
        return self._asking.rests or self._putting.rests

    def _start(self) -> None:
        if self._started:
            return
        with self._lock:
            if self._started:
                return
            self._started = True
        for work in (self._put_on, *[self._ask_on] * _ASKING):
            threading.Thread(target=work, name=f"shared cache {self.name}", daemon=True).start()

    def _ask_on(self) -> None:
        backend: Backend | None = None
        while True:
            wanted = self._gets.get()
            if wanted.until < time.monotonic():
                continue
            try:
                backend = backend or self._connect()
                found = backend.get(wanted.key, wanted.limit)
            except Exception as error:
                self._drop(backend)
                backend, found = None, None
                self._note_failure(self._asking, type(error).__name__)
            else:
                # what comes too late is of no use: whoever is always late must be left alone too
                if time.monotonic() <= wanted.until:
                    self._note_success(self._asking)
            wanted.answer.set_result(found)

    def _put_on(self) -> None:
        backend: Backend | None = None
        while True:
            one = self._puts.get()
            with self._lock:
                self._put_bytes -= len(one.value)
            try:
                backend = backend or self._connect()
                backend.put(one.key, one.value, one.seconds)
            except Exception as error:
                self._drop(backend)
                backend = None
                self._note_failure(self._putting, type(error).__name__)
            else:
                self._counts.add("stored")
                self._note_success(self._putting)
                self._tell(one.key)

    def _drop(self, backend: Backend | None) -> None:
        with suppress(Exception):
            if backend is not None:
                backend.close()

    def _note_failure(self, rest: Rest, why: str) -> None:
        self._counts.add("failures")
        with self._lock:
            # it may come back with nothing in it
            self._told.clear()
        if rest.failed():
            _LOG.warning("the shared cache at %s is left alone for a while: %s", self.name, why)

    def _note_success(self, rest: Rest) -> None:
        if rest.passed():
            _LOG.info("the shared cache at %s is back", self.name)

    def _was_told(self, key: str) -> bool:
        with self._lock:
            told = self._told.get(key)
            return told is not None and told > time.monotonic()

    def _tell(self, key: str) -> None:
        with self._lock:
            self._told[key] = time.monotonic() + _TOLD_SECONDS
            self._told.move_to_end(key)
            if len(self._told) > _TOLD:
                self._told.popitem(last=False)
