"""What a fetcher has to do: frames that somebody waits for first, prefetch behind, each frame only once."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame

_STALE_SECONDS = 15.0
"""A prefetch that has waited so long is of a place that nobody looks at any more."""


@dataclass(slots=True)
class Waiter:
    """One request that waits; `owner` is its connection, `id` the asker's own number.

    `inline` waiters want the bytes, the others are content to know that the frame is in the store. Nobody
    waits after `deadline` (time.monotonic).
    """

    owner: object
    id: int
    inline: bool = False
    deadline: float = float("inf")
    request_id: str | None = None
    """What the request is called in logs."""


@dataclass(slots=True, eq=False)
class Job:
    """One frame to bring; `waiters` is empty for a mere prefetch, and when all have gone.

    `demanded` says that somebody asked for it, whether he still waits or not. `due_at` is when the step that
    it is at should be over (time.monotonic).
    """

    wanted: WantedFrame
    demanded: bool
    waiters: list[Waiter] = field(default_factory=list)
    running: bool = False
    started_at: float = 0.0
    due_at: float = float("inf")
    holds_prefetch_slot: bool = False
    batch: "_Batch | None" = None

    @property
    def deadline(self) -> float | None:
        """The latest moment at which somebody still waits (time.monotonic); None when nobody does."""
        return max((waiter.deadline for waiter in self.waiters), default=None)

    @property
    def abandoned(self) -> bool:
        """Whether somebody asked for it and nobody waits any more."""
        return self.demanded and not self.waiters


@dataclass(slots=True, eq=False)
class _Batch:
    """Prefetches that were named together, next one first; those named again since belong to another."""

    jobs: deque[Job]
    expires_at: float


class WorkQueue:
    """Jobs of one fetcher, at most one for a frame; every method is safe from any thread.

    At most `prefetch_slots` prefetches run at once, so that some worker is always free for a demand. The
    frames that were named last are prefetched first, whatever their series, as there the viewers look now;
    a frame that is named again moves along. At most `prefetch_limit` wait: those named longest ago are
    dropped, and all that nobody named for 15 s.
    """

    def __init__(
        self, prefetch_slots: int, prefetch_limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._clock = clock
        self._jobs: dict[FrameKey, Job] = {}
        self._asked: dict[tuple[object, int], Job] = {}
        self._demands: deque[Job] = deque()
        self._batches: deque[_Batch] = deque()
        self._prefetches = 0
        self._dropped = 0
        self._promoted = 0
        self._prefetch_slots = prefetch_slots
        self._prefetch_limit = prefetch_limit
        self._closed = False

    def demand(self, wanted: WantedFrame, waiter: Waiter) -> bool:
        """Have the frame brought for `waiter`; True when it joined a job that was there already."""
        with self._changed:
            job = self._jobs.get(wanted.key)
            joined = job is not None
            if job is None:
                job = self._jobs[wanted.key] = Job(wanted, demanded=True)
                self._demands.append(job)
                self._changed.notify()
            elif not job.demanded:
                self._promote(job)
            # sent and sent again while its connection was being made: one waiter all the same
            if self._asked.get((waiter.owner, waiter.id)) is not job:
                self._asked[waiter.owner, waiter.id] = job
                job.waiters.append(waiter)
            return joined

    def extend(self, owner: object, number: int, deadline: float) -> None:
        """Somebody else waits with request `number` of `owner`, and longer: until `deadline`."""
        with self._changed:
            job = self._asked.get((owner, number))
            for waiter in job.waiters if job is not None else ():
                if waiter.owner is owner and waiter.id == number:
                    waiter.deadline = max(waiter.deadline, deadline)

    def prefetch(self, frames: Iterable[WantedFrame]) -> None:
        """Queue those of `frames` that are not under way, before all that was queued earlier."""
        with self._changed:
            if self._closed:
                return
            batch = _Batch(deque(), self._clock() + _STALE_SECONDS)
            for wanted in frames:
                job = self._jobs.get(wanted.key)
                if job is None:
                    job = self._jobs[wanted.key] = Job(wanted, demanded=False)
                    self._prefetches += 1
                elif job.demanded or job.running or job.batch is batch:
                    continue
                job.batch = batch
                batch.jobs.append(job)
            self._expire()
            if batch.jobs:
                self._batches.appendleft(batch)
            self._shorten()
            self._changed.notify(min(len(batch.jobs), self._prefetch_slots))

    def take(self) -> Job | None:
        """The next job, waiting for one; None once the queue is closed and no demand is left."""
        with self._changed:
            while True:
                job = self._next()
                if job is not None:
                    job.running = True
                    job.started_at = self._clock()
                    return job
                if self._closed:
                    return None
                self._changed.wait()

    def finish(self, job: Job) -> list[Waiter]:
        """End a job that was taken; whoever waits for it. Who asks later starts a new one."""
        with self._changed:
            self._jobs.pop(job.wanted.key, None)
            self._free_slot(job)
            for waiter in job.waiters:
                self._asked.pop((waiter.owner, waiter.id), None)
            return job.waiters

    def forget(self, owner: object, number: int | None = None) -> int:
        """Take back what `owner` waits for (only its request `number` if given); how many jobs that ended.

        A job that runs already is let run, without a further try: most of its cost is spent, and the frame
        is likely wanted again.
        """
        with self._changed:
            if number is not None:
                job = self._asked.get((owner, number))
                return self._leave(job, owner, number) if job is not None else 0
            asked = [(job, key[1]) for key, job in self._asked.items() if key[0] is owner]
            return sum(self._leave(job, owner, number) for job, number in asked)

    def drop_prefetches(self) -> None:
        """Forget every prefetch that has not begun."""
        with self._changed:
            self._drop_batches()

    def close(self) -> None:
        """Drop all prefetches; workers end when the demands are done."""
        with self._changed:
            self._closed = True
            self._drop_batches()
            self._changed.notify_all()

    def depths(self) -> dict[str, int]:
        """How many jobs wait and run; prefetches dropped so far, and asked for before they were there."""
        with self._changed:
            running = sum(job.running for job in self._jobs.values())
            waiting = len(self._jobs) - running
            return {
                "running": running,
                "demands": waiting - self._prefetches,
                "prefetches": self._prefetches,
                "prefetch_dropped": self._dropped,
                "prefetch_promoted": self._promoted,
            }

    def running(self) -> list[Job]:
        """The jobs that workers are at."""
        with self._changed:
            return [job for job in self._jobs.values() if job.running]

    def _next(self) -> Job | None:
        while self._demands:
            job = self._demands.popleft()
            if self._is_waiting(job):
                return job
        while self._batches and self._prefetch_slots:
            batch = self._batches[0]
            if batch.expires_at < self._clock():
                self._drop_batches()
                return None
            while batch.jobs:
                job = batch.jobs.popleft()
                if job.batch is batch and self._is_waiting(job):
                    self._unqueue(job)
                    self._prefetch_slots -= 1
                    job.holds_prefetch_slot = True
                    return job
            self._batches.popleft()
        return None

    def _is_waiting(self, job: Job) -> bool:
        return self._jobs.get(job.wanted.key) is job and not job.running

    def _promote(self, job: Job) -> None:
        job.demanded = True
        self._promoted += 1
        if job.running:
            self._free_slot(job)
        else:
            self._unqueue(job)
            self._demands.append(job)
            self._changed.notify()

    def _unqueue(self, job: Job) -> None:
        job.batch = None
        self._prefetches -= 1

    def _leave(self, job: Job, owner: object, number: int) -> int:
        del self._asked[owner, number]
        job.waiters = [w for w in job.waiters if w.owner is not owner or w.id != number]
        if job.waiters or job.running:
            return 0
        del self._jobs[job.wanted.key]
        return 1

    def _free_slot(self, job: Job) -> None:
        if job.holds_prefetch_slot:
            job.holds_prefetch_slot = False
            self._prefetch_slots += 1
            if self._batches:
                self._changed.notify()

    def _expire(self) -> None:
        """Drop what is stale: while there is no slot, or always a demand, no worker looks at it."""
        while self._batches and self._batches[-1].expires_at < self._clock():
            self._drop_batch(self._batches.pop())

    def _shorten(self) -> None:
        """Drop what is too much: of the batch named longest ago the last frames first."""
        while self._prefetches > self._prefetch_limit:
            oldest = self._batches[-1]
            if oldest.jobs:
                self._drop(oldest.jobs.pop(), oldest)
            else:
                self._batches.pop()

    def _drop_batches(self) -> None:
        for batch in self._batches:
            self._drop_batch(batch)
        self._batches.clear()

    def _drop_batch(self, batch: _Batch) -> None:
        for job in batch.jobs:
            self._drop(job, batch)

    def _drop(self, job: Job, batch: _Batch) -> None:
        if job.batch is batch and self._is_waiting(job):
            self._unqueue(job)
            self._dropped += 1
            del self._jobs[job.wanted.key]
