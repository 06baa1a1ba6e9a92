"""The fetcher process: the only one that calls GetImageFrame and the only one that writes the frame store.

Import this module only in the process that fetches: it brings numpy, the codecs and the AWS SDK along.
"""

import faulthandler
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dicomweb_gateway.dicom.codestream import BARE_START
from dicomweb_gateway.errors import (
    CorruptFrame,
    GatewayError,
    UndecodablePixels,
    UpstreamFailed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.connection import Connection
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.gate import UrgentFirst
from dicomweb_gateway.frames.integrity import check
from dicomweb_gateway.frames.janitor import Janitor, Share
from dicomweb_gateway.frames.protocol import HELLO, Answer, Request
from dicomweb_gateway.frames.recent import RecentFrames
from dicomweb_gateway.frames.store import FrameOnDisk, FrameStore
from dicomweb_gateway.frames.stored_frame import LostFrame, StoreUnwritable
from dicomweb_gateway.frames.work_queue import Job, Waiter, WorkQueue
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.pacing import RateLimits, Urgency
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.pixels.guarded import configure_decoders
from dicomweb_gateway.telemetry.catalogue import FETCH_ERRORS, FETCHED_BYTES, FETCHER_EVENTS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import Timeline, following

_PREFETCH_LIMIT = 1024
_PREFETCH_SECONDS = 30.0
_LOOK_UP_SECONDS = 1.0
_LARGE = 8 << 20
_LARGE_CHECKS = 2
_PAST_HOPE = 30.0
"""Seconds after which a call that should have ended at its deadline will not end any more."""
_STUCK = 70
"""Exit code of a fetcher that ends itself."""
_OVERLOADED = (UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable)
"""Errors after which nothing more should be prefetched for now."""

log = logging.getLogger(__name__)


class FrameSource(Protocol):
    """The part of `HealthImaging` that a fetcher uses."""

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: Urgency = True) -> bytes:
        """See `ImageSetStore.frame`."""
        ...

    def counters(self) -> dict[str, int | float]:
        """What was asked so far."""
        ...


def run_fetcher(
    listening: socket.socket, config: FetcherConfig, alive: Callable[[], None] = lambda: None
) -> None:
    """Serve the connections of `listening` until SIGTERM, or until the parent process is gone.

    Call it in the main thread of a freshly forked process. `alive` is called once a second at least.
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
        outlive = partial(_outlive, config.stuck_seconds)

        def turned() -> None:
            outlive()
            alive()

        Fetcher(config, image_sets).serve(listening, stop, turned)


@dataclass(frozen=True, slots=True)
class _Brought:
    """What became of a job: `stored` when the store has it, `payload` when the bytes are in memory."""

    stored: FrameOnDisk | None = None
    payload: bytes | None = None
    error: GatewayError | None = None


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
        self._unstored = RecentFrames()
        self._checks = UrgentFirst(config.checks)
        self._large_checks = UrgentFirst(_LARGE_CHECKS, patience=config.decode_timeout)
        self._counters = Tally(FETCHER_EVENTS, {"bytes": (FETCHED_BYTES, ())})
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
        self._unstored.expire()
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

    def _attempt(self, job: Job) -> _Brought:
        try:
            return self._bring(job)
        except GatewayError as error:
            self._fail(type(error).__name__)
            if not job.demanded and isinstance(error, _OVERLOADED):
                self._queue.drop_prefetches()
            return _Brought(error=error)
        except Exception:
            log.exception("a frame fetch failed unexpectedly")
            self._fail("unexpected")
            return _Brought(error=UpstreamFailed("the frame fetcher failed"))

    def _fail(self, kind: str) -> None:
        self._errors.add(f"error {kind}")
        count(FETCH_ERRORS, (kind,))

    def _bring(self, job: Job) -> _Brought:
        if (kept := self._at_hand(job)) is not None:
            self._counters.add("hits")
            return kept
        if not job.demanded and not self._janitor.has_room():
            # what cannot be stored is not worth prefetching
            self._queue.drop_prefetches()
            return _Brought()
        payload = self._fetch(job)
        self._counters.add("fetched")
        self._counters.add("bytes", len(payload))
        if not job.demanded:
            self._counters.add("prefetched")
        try:
            return _Brought(stored=self._publish(job, payload), payload=payload)
        except StoreUnwritable:
            self._counters.add("unstored")
            self._unstored.keep(job.wanted.key, payload)
            return _Brought(payload=payload)

    def _at_hand(self, job: Job) -> _Brought | None:
        """The frame if it is here: read where somebody wants its bytes, so that a corrupt file is a miss."""
        key = job.wanted.key
        if (payload := self._unstored.get(key)) is not None:
            return _Brought(payload=payload)
        if not job.demanded:
            # looking for it would pass for a use
            return _Brought() if self._store.has(key) else None
        stored = self._store.find(key)
        if stored is None or not any(waiter.inline for waiter in job.waiters):
            return None if stored is None else _Brought(stored=stored)
        try:
            return _Brought(stored=stored, payload=stored.read())
        except LostFrame:
            self._counters.add("corrupt_stored")
            return None

    def _publish(self, job: Job, payload: bytes) -> FrameOnDisk:
        size = HEADER_SIZE + len(payload)
        self._janitor.make_room(size)
        try:
            stored = self._store.publish(job.wanted.key, payload, prefetched=not job.demanded)
        except BaseException:
            self._janitor.not_written(size)
            raise
        self._janitor.written(size)
        return stored

    def _fetch(self, job: Job) -> bytes:
        """The frame once it has passed its checks; fetched a second time when it fails them the first."""
        payload = self._call(job)
        try:
            self._check(payload, job)
            return payload
        except (CorruptFrame, UndecodablePixels):
            if job.abandoned:
                raise
            self._counters.add("refetched")
        again = self._call(job)
        try:
            self._check(again, job)
        except UndecodablePixels as error:
            # the same bytes twice are what HealthImaging holds; viewers may have the decoder that we lack
            if again != payload:
                raise CorruptFrame("HealthImaging sent two different frames, neither decodes") from error
            self._counters.add("unverified")
        return again

    def _call(self, job: Job) -> bytes:
        """One frame from HealthImaging, for as long as somebody waits, that is: how long may change."""
        while True:
            urgent, deadline = job.demanded, self._ends_at(job)
            if deadline <= time.monotonic():
                raise UpstreamTimeout("the frame did not come in time")
            job.due_at = deadline
            try:
                return self._image_sets.frame(job.wanted.key, deadline, urgent or (lambda: job.demanded))
            except (UpstreamThrottled, UpstreamTimeout):
                # meanwhile somebody may have come who waits for what was a prefetch, or waits longer
                if (job.demanded and not urgent) or self._ends_at(job) > max(deadline, time.monotonic()):
                    continue
                raise

    def _ends_at(self, job: Job) -> float:
        """The moment until which it makes sense to try (time.monotonic)."""
        if job.demanded:
            deadline = job.deadline
            return 0.0 if deadline is None else deadline
        return job.started_at + _PREFETCH_SECONDS

    def _check(self, payload: bytes, job: Job) -> None:
        """See `integrity.check`: as many at once as there are cores, and few large ones, as each is decoded.

        Those first that somebody waits for.
        """
        job.due_at = time.monotonic() + self._config.decode_timeout
        is_large = self._config.verify and len(payload) >= _LARGE
        with (
            self._large_checks.passing(lambda: job.demanded) if is_large else nullcontext(),
            self._checks.passing(lambda: job.demanded) if self._config.verify else nullcontext(),
        ):
            check(payload, job.wanted, self._config.verify)

    def _answer(self, wanted: WantedFrame, waiter: Waiter, brought: _Brought) -> None:
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


def _outlive(seconds: float) -> None:
    """Let this process end with a traceback, unless this is called again within `seconds`.

    The timer is a thread of the C library's: it also ends a process in which no Python code gets to run.
    """
    with suppress(RuntimeError, ValueError, OSError):  # no standard error to write to
        faulthandler.dump_traceback_later(seconds, exit=True)


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
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wake(wake: socket.socket, *_: object) -> None:
    with suppress(OSError):
        wake.send(b"!")
