"""The fetcher process: the only one that calls GetImageFrame and the only one that writes the frame store.

Import this module only in the process that fetches: it brings numpy, the codecs and the AWS SDK along.
"""

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dicomweb_gateway.dicom.jp2_boxes import BARE_START
from dicomweb_gateway.errors import (
    GatewayError,
    UpstreamFailed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dicomweb_gateway.frames.bringing import Bringer, Brought, FrameSource
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.connection import Connection
from dicomweb_gateway.frames.frame_on_disk import FrameOnDisk
from dicomweb_gateway.frames.janitor import Janitor, Share
from dicomweb_gateway.frames.protocol import HELLO, Answer, Request
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import StoreUnwritable
from dicomweb_gateway.frames.work_queue import Job, Waiter, WorkQueue
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.telemetry.catalogue import FETCH_ERRORS, FETCHED_BYTES, FETCHER_EVENTS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import Timeline, following

_PREFETCH_LIMIT = 1024
_LOOK_UP_SECONDS = 1.0
_PAST_HOPE = 30.0
"""Seconds after which a call that should have ended at its deadline will not end any more."""
_STUCK = 70
"""Exit code of a fetcher that ends itself."""
_OVERLOADED = (UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable)
"""Errors after which nothing more should be prefetched for now."""

log = logging.getLogger(__name__)


class Fetcher:
    """Takes requests from connections, brings frames with a bounded number of threads, publishes them."""

    def __init__(self, config: FetcherConfig, image_sets: FrameSource) -> None:
        self._config = config
        self._image_sets = image_sets
        self._store = FrameStore(config.cache_root, writer=str(config.number))
        self._janitor = Janitor(
            config.cache_root,
            config.cache_max_bytes,
            config.min_free_bytes,
            share=Share(config.number, config.fetchers),
        )
        # a quarter of the threads never prefetch, so a demand finds one free
        slots = config.fetches_in_flight - max(1, config.fetches_in_flight // 4)
        self._queue = WorkQueue(prefetch_slots=slots, prefetch_limit=_PREFETCH_LIMIT)
        self._counters = Tally(FETCHER_EVENTS, {"bytes": (FETCHED_BYTES, ())})
        self._bringer = Bringer(config, image_sets, self._store, self._janitor, self._queue, self._counters)
        self._errors = Tally()
        self._operations = {
            "get": self._on_get,
            "extend": self._on_extend,
            "prefetch": self._on_prefetch,
            "cancel": self._on_cancel,
            "stats": self._on_stats,
        }

    def serve(
        self, listening: socket.socket, stop: socket.socket, turned: Callable[[], None] = lambda: None
    ) -> None:
        """Accept until `stop` is readable or the parent is gone; then end what is asked for, for a while.

        `turned` is called at every turn of the loop, once a second at least.
        """
        with suppress(StoreUnwritable):
            self._store.prepare(Share(self._config.number, self._config.fetchers).folders)
        threading.Thread(target=self._janitor.run, name="janitor", daemon=True).start()
        workers = [
            threading.Thread(target=self._work, name=f"fetch {number}", daemon=True)
            for number in range(self._config.fetches_in_flight)
        ]
        for worker in workers:
            worker.start()
        self._accept(listening, stop, turned)
        self._queue.close()
        self._janitor.stop()
        deadline = time.monotonic() + self._config.drain_seconds
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, listening: socket.socket, stop: socket.socket, turned: Callable[[], None]) -> None:
        parent = os.getppid()
        listening.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            while os.getppid() == parent:
                turned()
                ready = [key.fileobj for key, _ in selector.select(_LOOK_UP_SECONDS)]
                if stop in ready:
                    return
                if listening in ready:
                    self._take_in(listening)
                self._look_after()

    def _look_after(self) -> None:
        """End this process when every thread hangs in a call that should have ended long ago."""
        self._bringer.expire()
        running = self._queue.running()
        if len(running) < self._config.fetches_in_flight:
            return
        now = time.monotonic()
        if all(now > job.due_at + _PAST_HOPE for job in running):
            log.error("every thread of this frame fetcher hangs: it ends itself to be replaced")
            os._exit(_STUCK)

    def _take_in(self, listening: socket.socket) -> None:
        try:
            accepted, _ = listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # out of descriptors: the queue is ready again at once, so rest a little
            log.warning("cannot accept a connection: %s", error.strerror)
            time.sleep(0.1)
            return
        accepted.setblocking(True)
        connection = Connection(accepted, self._on_request, self._queue.forget)
        connection.start(Answer(HELLO, stats=self._identity()))

    def _on_request(self, connection: Connection, request: Request) -> None:
        self._operations[request.op](connection, request)

    def _identity(self) -> dict[str, Any]:
        return {"name": str(self._config.number), "pid": os.getpid()}

    def _on_get(self, connection: Connection, request: Request) -> None:
        waiter = Waiter(connection, request.id, request.inline, _moment(request.seconds), request.request_id)
        joined = self._queue.demand(request.frames[0], waiter)
        self._counters.add("joined" if joined else "demanded")

    def _on_extend(self, connection: Connection, request: Request) -> None:
        self._queue.extend(connection, request.id, _moment(request.seconds))

    def _on_prefetch(self, connection: Connection, request: Request) -> None:
        self._queue.prefetch(request.frames)

    def _on_cancel(self, connection: Connection, request: Request) -> None:
        self._counters.add("cancelled", self._queue.forget(connection, request.id))

    def _on_stats(self, connection: Connection, request: Request) -> None:
        numbers = {
            **self._image_sets.counters(),
            **self._counters.snapshot(),
            **self._errors.snapshot(),
            **self._queue.depths(),
            **self._janitor.counts(),
        }
        connection.answer(Answer(request.id, stats={**numbers, **self._identity()}))

    def _work(self) -> None:
        while (job := self._queue.take()) is not None:
            try:
                self._carry_out(job)
            except Exception:
                # whoever waits gives up; the thread goes on for all others
                log.exception("an answer could not be given")

    def _carry_out(self, job: Job) -> None:
        """A call of its own: a thread that waits for work must not hold on to the frame it brought last."""
        # of those who ask for the same frame the first one's name is passed on
        asked_by = next((waiter.request_id for waiter in job.waiters), None)
        with following(Timeline(asked_by)):
            brought = self._attempt(job)
        for waiter in self._queue.finish(job):
            self._answer(job.wanted, waiter, brought)

    def _attempt(self, job: Job) -> Brought:
        try:
            return self._bringer.bring(job)
        except GatewayError as error:
            self._fail(type(error).__name__)
            if not job.demanded and isinstance(error, _OVERLOADED):
                self._queue.drop_prefetches()
            return Brought(error=error)
        except Exception:
            log.exception("a frame fetch failed unexpectedly")
            self._fail("unexpected")
            return Brought(error=UpstreamFailed("the frame fetcher failed"))

    def _fail(self, kind: str) -> None:
        self._errors.add(f"error {kind}")
        count(FETCH_ERRORS, (kind,))

    def _answer(self, wanted: WantedFrame, waiter: Waiter, brought: Brought) -> None:
        if not isinstance(waiter.owner, Connection):
            return
        if brought.error is not None:
            waiter.owner.answer(Answer(waiter.id, error=brought.error))
        elif brought.stored is not None and not waiter.inline:
            waiter.owner.answer(_lies_there(waiter, brought.stored, brought.payload))
        elif brought.payload is not None:
            waiter.owner.answer(Answer(waiter.id, payload=brought.payload))
        else:
            # it joined a prefetch that came to nothing, or wants what was only looked up: now for itself
            self._queue.demand(wanted, waiter)


def _lies_there(waiter: Waiter, stored: FrameOnDisk, payload: bytes | None) -> Answer:
    """`payload` is that of a frame which has been put there just now; a prefetched one has yet to be used."""
    is_new = payload is not None and not stored.prefetched
    is_bare = payload is not None and payload.startswith(BARE_START)
    return Answer(waiter.id, length=stored.length, is_new=is_new, is_bare=is_bare)


def _moment(seconds: float | None) -> float:
    """`seconds` from now, in time.monotonic; infinite for None."""
    return float("inf") if seconds is None else time.monotonic() + seconds
