"""The fetcher process: the only one that calls GetImageFrame and the only one that writes the frame store.

Import this module only in the process that fetches: it brings numpy, the codecs and the AWS SDK along.
"""

import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dicomweb_gateway.errors import CorruptFrame, GatewayError, UndecodablePixels, UpstreamFailed
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.connection import Connection
from dicomweb_gateway.frames.counters import Counters
from dicomweb_gateway.frames.integrity import check
from dicomweb_gateway.frames.janitor import Janitor
from dicomweb_gateway.frames.protocol import HELLO, Answer, Request
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import LostFrame, StoredFrame, StoreUnwritable
from dicomweb_gateway.frames.work_queue import Job, Waiter, WorkQueue
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.pacing import RateLimits
from dicomweb_gateway.imagesets.store import ImageSetStore, WantedFrame
from dicomweb_gateway.pixels.guarded import configure_decoders

_PREFETCH_LIMIT = 4096
_LOOK_UP_SECONDS = 1.0
_LARGE = 8 << 20
_LARGE_CHECKS = 2

log = logging.getLogger(__name__)


def run_fetcher(listening: socket.socket, config: FetcherConfig) -> None:
    """Serve the connections of `listening` until SIGTERM, or until the parent process is gone.

    Call it in the main thread of a freshly forked process.
    """
    image_sets = HealthImaging(
        config.endpoint_url,
        config.region,
        max_connections=config.fetches_in_flight,
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        limits=RateLimits(
            frames=config.frame_rate_limit, folder=Path(config.rate_folder) if config.rate_folder else None
        ),
    )
    configure_decoders(config.decode_timeout, config.decoders)
    with _stop_signal() as stop:
        Fetcher(config, image_sets).serve(listening, stop)


@dataclass(frozen=True, slots=True)
class _Brought:
    """What became of a job: `stored` when the store has it, `payload` when the bytes are in memory."""

    stored: StoredFrame | None = None
    payload: bytes | None = None
    error: GatewayError | None = None


class Fetcher:
    """Takes requests from connections, brings frames with a bounded number of threads, publishes them."""

    def __init__(self, config: FetcherConfig, image_sets: ImageSetStore) -> None:
        self._config = config
        self._image_sets = image_sets
        self._store = FrameStore(config.cache_root, min_free_bytes=config.min_free_bytes, writer=config.name)
        self._janitor = Janitor(
            config.cache_root, config.cache_max_bytes, config.min_free_bytes, writers=config.fetchers
        )
        # a quarter of the threads never prefetch, so a demand finds one free
        slots = config.fetches_in_flight - max(1, config.fetches_in_flight // 4)
        self._queue = WorkQueue(prefetch_slots=slots, prefetch_limit=_PREFETCH_LIMIT)
        self._large_checks = threading.BoundedSemaphore(_LARGE_CHECKS)
        self._counters = Counters()
        self._operations = {
            "get": self._on_get,
            "prefetch": self._on_prefetch,
            "cancel": self._on_cancel,
            "stats": self._on_stats,
        }

    def serve(self, listening: socket.socket, stop: socket.socket) -> None:
        """Accept until `stop` is readable or the parent is gone; then end what is asked for, for a while."""
        with suppress(StoreUnwritable):
            self._store.prepare()
        if self._config.janitor:
            threading.Thread(target=self._janitor.run, name="janitor", daemon=True).start()
        workers = [
            threading.Thread(target=self._work, name=f"fetch {number}", daemon=True)
            for number in range(self._config.fetches_in_flight)
        ]
        for worker in workers:
            worker.start()
        self._accept(listening, stop)
        self._queue.close()
        self._janitor.stop()
        deadline = time.monotonic() + self._config.drain_seconds
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, listening: socket.socket, stop: socket.socket) -> None:
        parent = os.getppid()
        listening.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            while os.getppid() == parent:
                ready = [key.fileobj for key, _ in selector.select(_LOOK_UP_SECONDS)]
                if stop in ready:
                    return
                if listening in ready:
                    self._take_in(listening)

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
        connection.start(Answer(HELLO, stats={"name": self._config.name, "pid": os.getpid()}))

    def _on_request(self, connection: Connection, request: Request) -> None:
        self._operations[request.op](connection, request)

    def _on_get(self, connection: Connection, request: Request) -> None:
        waiter = Waiter(connection, request.id, request.inline)
        joined = self._queue.demand(request.frames[0], waiter)
        self._counters.add("joined" if joined else "demanded")

    def _on_prefetch(self, connection: Connection, request: Request) -> None:
        self._counters.add("prefetch_dropped", self._queue.prefetch(request.frames))

    def _on_cancel(self, connection: Connection, request: Request) -> None:
        self._counters.add("cancelled", self._queue.forget(connection, request.id))

    def _on_stats(self, connection: Connection, request: Request) -> None:
        numbers = {**self._counters.snapshot(), **self._queue.depths()}
        connection.answer(
            Answer(request.id, stats={**numbers, "name": self._config.name, "pid": os.getpid()})
        )

    def _work(self) -> None:
        while (job := self._queue.take()) is not None:
            self._carry_out(job)

    def _carry_out(self, job: Job) -> None:
        """A call of its own: a thread that waits for work must not hold on to the frame it brought last."""
        brought = self._attempt(job)
        for waiter in self._queue.finish(job):
            self._answer(job.wanted, waiter, brought)

    def _attempt(self, job: Job) -> _Brought:
        try:
            return self._bring(job)
        except GatewayError as error:
            self._counters.add(f"error {type(error).__name__}")
            return _Brought(error=error)
        except Exception:
            log.exception("a frame fetch failed unexpectedly")
            self._counters.add("error unexpected")
            return _Brought(error=UpstreamFailed("the frame fetcher failed"))

    def _bring(self, job: Job) -> _Brought:
        found = self._store.find(job.wanted.key)
        if found is not None:
            self._counters.add("hits")
            return _Brought(stored=found)
        payload = self._fetch(job.wanted)
        self._counters.add("fetched")
        self._counters.add("bytes", len(payload))
        if not job.demanded:
            self._counters.add("prefetched")
        try:
            stored = self._store.publish(job.wanted.key, payload, prefetched=not job.demanded)
        except StoreUnwritable:
            # what cannot be stored is not worth prefetching
            self._counters.add("prefetch_dropped", self._queue.drop_prefetches())
            self._counters.add("unstored")
            self._janitor.note_refused()
            return _Brought(payload=payload)
        self._janitor.note_published(len(payload))
        return _Brought(stored=stored, payload=payload)

    def _fetch(self, wanted: WantedFrame) -> bytes:
        """The frame once it has passed its checks; fetched a second time when it fails them the first."""
        payload = self._image_sets.frame(wanted.key)
        try:
            self._check(payload, wanted)
            return payload
        except (CorruptFrame, UndecodablePixels):
            self._counters.add("refetched")
        again = self._image_sets.frame(wanted.key)
        try:
            self._check(again, wanted)
        except UndecodablePixels as error:
            # the same bytes twice are what HealthImaging holds; viewers may have the decoder that we lack
            if again != payload:
                raise CorruptFrame("HealthImaging sent two different frames, neither decodes") from error
            self._counters.add("unverified")
        return again

    def _check(self, payload: bytes, wanted: WantedFrame) -> None:
        """See `integrity.check`; of large frames few at once, as each is decoded in memory."""
        with self._large_checks if len(payload) >= _LARGE else nullcontext():
            check(payload, wanted, self._config.verify)

    def _answer(self, wanted: WantedFrame, waiter: Waiter, brought: _Brought) -> None:
        if not isinstance(waiter.owner, Connection):
            return
        if brought.error is not None:
            waiter.owner.answer(Answer(waiter.id, error=brought.error))
        elif brought.stored is not None and not waiter.inline:
            waiter.owner.answer(Answer(waiter.id, length=brought.stored.length))
        elif brought.payload is not None:
            waiter.owner.answer(Answer(waiter.id, payload=brought.payload))
        elif brought.stored is not None:
            self._answer_from_disk(wanted, waiter, brought.stored)

    def _answer_from_disk(self, wanted: WantedFrame, waiter: Waiter, stored: StoredFrame) -> None:
        try:
            payload = stored.read()
        except LostFrame:
            # reading it removed it, so this time it is fetched
            self._counters.add("corrupt_stored")
            self._queue.demand(wanted, waiter)
            return
        self._answer(wanted, waiter, _Brought(payload=payload))


@contextmanager
def _stop_signal() -> Iterator[socket.socket]:
    """A socket that becomes readable at SIGTERM; Ctrl-C and reloads are the business of the master."""
    waking, wake = socket.socketpair()
    wake.setblocking(False)
    with waking, wake:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, partial(_wake, wake))
        yield waking
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wake(wake: socket.socket, *_: object) -> None:
    with suppress(OSError):
        wake.send(b"!")
