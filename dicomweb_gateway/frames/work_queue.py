"""What a fetcher has to do: frames that somebody waits for first, prefetch behind, each frame only once."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame


@dataclass(frozen=True, slots=True)
class Waiter:
    """One request that waits; `owner` is its connection, `id` the asker's own number.

    `inline` waiters want the bytes, the others are content to know that the frame is in the store.
    """

    owner: object
    id: int
    inline: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """One frame to bring; `waiters` is empty for a mere prefetch."""

    wanted: WantedFrame
    demanded: bool
    waiters: list[Waiter] = field(default_factory=list)
    running: bool = False
    holds_prefetch_slot: bool = False


class WorkQueue:
    """Jobs of one fetcher, at most one for a frame; every method is safe from any thread.

    At most `prefetch_slots` prefetches run at once, so that some worker is always free for a demand, and at
    most `prefetch_limit` wait: the oldest are dropped.
    """

    def __init__(self, prefetch_slots: int, prefetch_limit: int) -> None:
        self._changed = threading.Condition()
        self._jobs: dict[FrameKey, Job] = {}
        self._demands: deque[Job] = deque()
        self._prefetches: deque[Job] = deque()
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
            elif not job.demanded:
                self._promote(job)
            job.waiters.append(waiter)
            self._changed.notify()
            return joined

    def prefetch(self, frames: Iterable[WantedFrame]) -> int:
        """Queue those of `frames` that are not here yet; how many older ones were dropped for them."""
        dropped = 0
        with self._changed:
            for wanted in () if self._closed else frames:
                if wanted.key not in self._jobs:
                    job = self._jobs[wanted.key] = Job(wanted, demanded=False)
                    self._prefetches.append(job)
            while len(self._prefetches) > self._prefetch_limit:
                dropped += self._drop_prefetch(self._prefetches.popleft())
            self._changed.notify_all()
        return dropped

    def take(self) -> Job | None:
        """The next job, waiting for one; None once the queue is closed and no demand is left."""
        with self._changed:
            while True:
                job = self._next()
                if job is not None:
                    job.running = True
                    return job
                if self._closed:
                    return None
                self._changed.wait()

    def finish(self, job: Job) -> list[Waiter]:
        """End a job that was taken; whoever waits for it. Who asks later starts a new one."""
        with self._changed:
            self._jobs.pop(job.wanted.key, None)
            self._free_slot(job)
            return job.waiters

    def forget(self, owner: object, number: int | None = None) -> int:
        """Take back what `owner` waits for (only its request `number` if given); how many jobs that ended.

        A job that runs already is let run: most of its cost is spent, and the frame is likely wanted again.
        """
        ended = 0
        with self._changed:
            for job in list(self._jobs.values()):
                left = [w for w in job.waiters if w.owner is not owner or number not in (None, w.id)]
                if len(left) == len(job.waiters):
                    continue
                job.waiters = left
                if not left and not job.running:
                    del self._jobs[job.wanted.key]
                    ended += 1
        return ended

    def drop_prefetches(self) -> int:
        """Forget every prefetch that has not begun; how many."""
        with self._changed:
            dropped = sum(self._drop_prefetch(job) for job in self._prefetches)
            self._prefetches.clear()
            return dropped

    def close(self) -> None:
        """Drop all prefetches; workers end when the demands are done."""
        with self._changed:
            self._closed = True
            self.drop_prefetches()
            self._changed.notify_all()

    def depths(self) -> dict[str, int]:
        """How many jobs wait and run."""
        with self._changed:
            running = sum(job.running for job in self._jobs.values())
            waiting = [job for job in self._jobs.values() if not job.running]
            demanded = sum(job.demanded for job in waiting)
        return {"running": running, "demands": demanded, "prefetches": len(waiting) - demanded}

    def _next(self) -> Job | None:
        while self._demands:
            job = self._demands.popleft()
            if self._is_waiting(job):
                return job
        while self._prefetches and self._prefetch_slots:
            job = self._prefetches.popleft()
            if self._is_waiting(job) and not job.demanded:
                self._prefetch_slots -= 1
                job.holds_prefetch_slot = True
                return job
        return None

    def _is_waiting(self, job: Job) -> bool:
        return self._jobs.get(job.wanted.key) is job and not job.running

    def _promote(self, job: Job) -> None:
        job.demanded = True
        if job.running:
            self._free_slot(job)
        else:
            self._demands.append(job)

    def _free_slot(self, job: Job) -> None:
        if job.holds_prefetch_slot:
            job.holds_prefetch_slot = False
            self._prefetch_slots += 1
            self._changed.notify()

    def _drop_prefetch(self, job: Job) -> int:
        if job.demanded or not self._is_waiting(job):
            return 0
        del self._jobs[job.wanted.key]
        return 1
