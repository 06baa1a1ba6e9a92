"""How a frame comes to lie in the store: looked up, fetched, checked, published."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

from dicomweb_gateway.errors import (
    CorruptFrame,
    GatewayError,
    UndecodablePixels,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.frame_on_disk import FrameOnDisk
from dicomweb_gateway.frames.gate import UrgentFirst
from dicomweb_gateway.frames.integrity import check
from dicomweb_gateway.frames.janitor import Janitor
from dicomweb_gateway.frames.recent import RecentFrames
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import LostFrame, StoreUnwritable
from dicomweb_gateway.frames.work_queue import Job, WorkQueue
from dicomweb_gateway.imagesets.pacing import Urgency
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.telemetry.tally import Tally

_PREFETCH_SECONDS = 30.0
_LARGE = 8 << 20
_LARGE_CHECKS = 2


class FrameSource(Protocol):
    """The part of `HealthImaging` that a fetcher uses."""

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: Urgency = True) -> bytes:
        """See `ImageSetStore.frame`."""
        ...

    def counters(self) -> dict[str, int | float]:
        """What was asked so far."""
        ...


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a job: `stored` when the store has it, `payload` when the bytes are in memory."""

    stored: FrameOnDisk | None = None
    payload: bytes | None = None
    error: GatewayError | None = None


class Bringer:
    """Brings the frames of jobs; for the threads of one fetcher, whose parts it works with."""

    def __init__(
        self,
        config: FetcherConfig,
        image_sets: FrameSource,
        store: FrameStore,
        janitor: Janitor,
        queue: WorkQueue,
        counters: Tally,
    ) -> None:
        self._config = config
        self._image_sets = image_sets
        self._store = store
        self._janitor = janitor
        self._queue = queue
        self._counters = counters
        self._unstored = RecentFrames()
        self._checks = UrgentFirst(config.checks)
        self._large_checks = UrgentFirst(_LARGE_CHECKS, patience=config.decode_timeout)

    def expire(self) -> None:
        """Forget the frames that no disk took and nobody has asked for lately."""
        self._unstored.expire()

    def bring(self, job: Job) -> Brought:
        """What becomes of `job`; GatewayError when its frame cannot be had. From any thread."""
        if (kept := self._at_hand(job)) is not None:
            self._counters.add("hits")
            return kept
        if not job.demanded and not self._janitor.has_room():
            # what cannot be stored is not worth prefetching
            self._queue.drop_prefetches()
            return Brought()
        payload = self._fetch(job)
        self._counters.add("fetched")
        self._counters.add("bytes", len(payload))
        if not job.demanded:
            self._counters.add("prefetched")
        try:
            return Brought(stored=self._publish(job, payload), payload=payload)
        except StoreUnwritable:
            self._counters.add("unstored")
            self._unstored.keep(job.wanted.key, payload)
            return Brought(payload=payload)

    def _at_hand(self, job: Job) -> Brought | None:
        """The frame if it is here: read where somebody wants its bytes, so that a corrupt file is a miss."""
        key = job.wanted.key
        if (payload := self._unstored.get(key)) is not None:
            return Brought(payload=payload)
        if not job.demanded:
            # looking for it would pass for a use
            return Brought() if self._store.has(key) else None
        stored = self._store.find(key)
        if stored is None or not any(waiter.inline for waiter in job.waiters):
            return None if stored is None else Brought(stored=stored)
        try:
            return Brought(stored=stored, payload=stored.read())
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
