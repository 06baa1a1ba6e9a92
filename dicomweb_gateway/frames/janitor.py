"""Keeps the frame store within its byte budget and above the disk's free-space floor, oldest use first."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from dicomweb_gateway.frames.store import INCOMING, free_bytes

_BUCKET_SECONDS = 2
_PAUSE_SECONDS = 30.0
_REST_FACTOR = 10
_ABANDONED_SECONDS = 3600.0


class Sweep(NamedTuple):
    """What one round found and did; sizes in bytes, `kept_bytes` is what the store holds after it."""

    kept_bytes: int
    removed_files: int
    removed_bytes: int


class Janitor:
    """Evicts for a whole store; one thread of one fetcher runs it.

    A round brings the store down to 90 % of `max_bytes`, so that rounds stay rare. Files used less than
    `grace_seconds` ago stay, as somebody may be about to open them; so under a working set larger than the
    budget the store exceeds it by what comes in during that time and a round. `writers` is how many
    fetchers publish; this one's volume times that tells when the next round is due.
    """

    def __init__(
        self,
        root: str,
        max_bytes: int,
        min_free_bytes: int,
        *,
        writers: int = 1,
        grace_seconds: float = 3,
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._writers = writers
        self._grace_seconds = grace_seconds
        self._due = threading.Event()
        self._stopped = False
        self._headroom = 0

    def note_published(self, length: int) -> None:
        """Count a frame that was published here; wakes the janitor when the budget may be reached."""
        self._headroom -= length * self._writers
        if self._headroom < 0:
            self._due.set()

    def note_refused(self) -> None:
        """The disk took no more: look at once."""
        self._due.set()

    def run(self) -> None:
        """Sweep whenever it is due until `stop`; at most a tenth of the time, whatever happens."""
        while not self._stopped:
            began = time.monotonic()
            self._due.clear()
            with suppress(OSError):
                self.sweep()
            rest = max(0.5, (time.monotonic() - began) * _REST_FACTOR)
            self._sleep(rest)
            self._due.wait(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Let `run` return soon."""
        self._stopped = True
        self._due.set()

    def sweep(self) -> Sweep:
        """One round; OSError when the store cannot be listed.

        Two passes over the folders instead of one list: ages are first counted in buckets, so memory does
        not grow with the number of files.
        """
        self._remove_abandoned()
        now = time.time()
        ages: Counter[int] = Counter()
        for entry in self._files():
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                ages[_bucket(status.st_mtime, now)] += status.st_size
        total = ages.total()
        excess = self._excess(total)
        removed_files, removed_bytes = self._evict(excess, ages, now) if excess > 0 else (0, 0)
        self._headroom = self._max_bytes - (total - removed_bytes)
        return Sweep(total - removed_bytes, removed_files, removed_bytes)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < deadline:
            time.sleep(0.1)

    def _excess(self, total: int) -> int:
        over_budget = total - self._max_bytes * 9 // 10 if total > self._max_bytes else 0
        lacking = self._min_free_bytes - free_bytes(self._root)
        # a little more than the floor, else the next frame is below it again
        below_floor = lacking + self._min_free_bytes // 20 if lacking > 0 else 0
        return max(over_budget, below_floor)

    def _evict(self, excess: int, ages: Counter[int], now: float) -> tuple[int, int]:
        youngest, remainder = self._limit(excess, ages, now)
        files = size = 0
        for entry in self._files():
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                bucket = _bucket(status.st_mtime, now)
                if bucket > youngest or (bucket == youngest and remainder <= 0):
                    continue
                os.unlink(entry.path)
                files += 1
                size += status.st_size
                remainder -= status.st_size if bucket == youngest else 0
        return files, size

    def _limit(self, excess: int, ages: Counter[int], now: float) -> tuple[int, int]:
        """The youngest bucket that has to give files, and how many of its bytes; older ones go whole."""
        protected = _bucket(now - self._grace_seconds, now)
        youngest, remainder = -1, 0
        for bucket in sorted(ages):
            if excess <= 0 or bucket >= protected:
                break
            youngest, remainder = bucket, excess
            excess -= ages[bucket]
        return youngest, remainder

    def _files(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._root) as folders:
            names = [entry.name for entry in folders if len(entry.name) == 2]
        for name in names:
            with suppress(OSError), os.scandir(os.path.join(self._root, name)) as entries:
                yield from entries

    def _remove_abandoned(self) -> None:
        """Files that a writer, long gone and never replaced, left half-written."""
        oldest = time.time() - _ABANDONED_SECONDS
        for folder, _, names in os.walk(os.path.join(self._root, INCOMING)):
            for path in (os.path.join(folder, name) for name in names):
                with suppress(OSError):
                    if os.stat(path).st_mtime < oldest:
                        os.unlink(path)


def _bucket(used: float, now: float) -> int:
    """Age class; a time in the future (the clock was set back) counts as the oldest."""
    return 0 if used > now + _ABANDONED_SECONDS else max(0, int(used // _BUCKET_SECONDS))
