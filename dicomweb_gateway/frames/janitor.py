"""Keeps a share of the frame store within its byte budget and the disk above its free-space floor.

A frame belongs to the fetcher that its folder belongs to (`places.folder_of`), so each fetcher counts and
evicts what it alone writes: nothing has to be agreed on between processes.
"""

import heapq
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from dicomweb_gateway.dicom.spool_space import free_bytes
from dicomweb_gateway.frames.frame_file import UNREAD
from dicomweb_gateway.frames.incoming import INCOMING
from dicomweb_gateway.frames.places import FOLDERS
from dicomweb_gateway.frames.stored_frame import StoreUnwritable
from dicomweb_gateway.telemetry.catalogue import CACHE_EVICTIONS
from dicomweb_gateway.telemetry.meters import count

_BLOCK = 4096
_SPACE_SECONDS = 0.5
_PAUSE_SECONDS = 30.0
_REST_SECONDS = 0.2
_REST_FACTOR = 10
_ABANDONED_SECONDS = 3600.0
_MOST_CANDIDATES = 50_000
_UNCOUNTED = 64 << 20
"""What may be written before the first count of what lies there, a twentieth of the share at most."""


class Share(NamedTuple):
    """Part `number` (from 0) of `of` parts of a store: every `of`-th folder."""

    number: int = 0
    of: int = 1

    @property
    def folders(self) -> list[str]:
        """Names of the folders."""
        return [f"{folder:02x}" for folder in range(self.number, FOLDERS, self.of)]


class Sweep(NamedTuple):
    """What one count found: files, their bytes on disk, and how many of them may go for room."""

    files: int
    kept_bytes: int
    candidates: int


class _Candidate(NamedTuple):
    """A file that may go, last used at `used_at`; the order is that of going."""

    used_at: float
    path: str


class Janitor:
    """Makes room in one share of a store before each frame is written, oldest use first.

    Whoever publishes asks `make_room` first, so the share never exceeds its part of `max_bytes`, whatever
    comes in; a frame for which there is no room is not stored. Files used less than `grace_seconds` ago stay,
    as somebody may be about to open them. A thread (`run`) counts the files from time to time and keeps a
    list of the oldest, so that making room costs no more than removing. Bytes are whole blocks on disk.
    """

    def __init__(
        self,
        root: str,
        max_bytes: int,
        min_free_bytes: int,
        *,
        share: Share = Share(),  # noqa: B008 - immutable
        grace_seconds: float = 3,
    ) -> None:
        self._root = root
        self._share = share
        self._max_bytes = max_bytes * len(share.folders) // FOLDERS
        self._min_free_bytes = min_free_bytes
        self._grace_seconds = grace_seconds
        self._due = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
        self._used = self._max_bytes - min(_UNCOUNTED, self._max_bytes // 20)
        self._writing = 0
        self._set_aside = 0
        self._candidates: list[_Candidate] = []
        self._enough = 0
        self._free = 0
        self._free_known_at = float("-inf")
        self._evicted = 0
        self._wasted = 0

    def make_room(self, length: int) -> None:
        """Set `length` bytes aside for a file that is written now; evicts for them.

        StoreUnwritable when that much is not to be had: budget and floor hold whatever comes in. `written` or
        `not_written` tells what became of it.
        """
        size = _on_disk(length)
        with self._lock:
            if size > self._max_bytes:
                raise StoreUnwritable("the frame is larger than the frame store may be")
            excess = max(self._used + size - self._max_bytes, self._lacking(size))
            if excess > 0:
                excess -= self._evict(excess)
            if excess > 0:
                self._due.set()
                raise StoreUnwritable("the frame store has no room: it is at its budget or free-space floor")
            self._used += size
            self._free -= size
            self._writing += size
            self._set_aside += size
            if len(self._candidates) < self._enough or not self._candidates:
                self._order_sweep()

    def written(self, length: int) -> None:
        """The file for which room was made is in its place."""
        with self._lock:
            self._writing -= _on_disk(length)

    def not_written(self, length: int) -> None:
        """The disk refused a file for which room was made: make more, as it is fuller than it says."""
        with self._lock:
            self._used -= _on_disk(length)
            self._writing -= _on_disk(length)
            self._evict(self._max_bytes // 50)
            self._due.set()

    def has_room(self) -> bool:
        """Whether a frame of usual size could be stored now: else nothing is worth prefetching."""
        with self._lock:
            return bool(self._candidates) or self._used + (1 << 20) <= self._max_bytes

    def counts(self) -> dict[str, int]:
        """Bytes in the share; frames evicted, and those of them that were prefetched and never read."""
        with self._lock:
            return {"store_bytes": self._used, "evicted": self._evicted, "prefetch_wasted": self._wasted}

    def run(self) -> None:
        """Count at once and then whenever it is due until `stop`; at most a tenth of the time."""
        while not self._stopped:
            began = time.monotonic()
            self._due.clear()
            with suppress(OSError, StoreUnwritable):
                self.sweep()
            self._sleep(max(_REST_SECONDS, (time.monotonic() - began) * _REST_FACTOR))
            self._due.wait(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Let `run` return soon."""
        self._stopped = True
        self._due.set()

    def sweep(self) -> Sweep:
        """Count the share and find what may go first; OSError when the store cannot be listed.

        One pass, and memory for a quarter of the files' names, 50,000 at most. What is written meanwhile is
        counted too, perhaps twice: the count errs to the high side.
        """
        self._remove_abandoned()
        with self._lock:
            # neither need be in its place when its folder is counted
            missed = self._writing - self._set_aside
        found = self._count()
        with self._lock:
            self._used = found.kept_bytes + missed + self._set_aside
            excess = max(self._used - self._max_bytes, self._lacking(0))
            if excess > 0:
                self._evict(excess)
        return found

    def _count(self) -> Sweep:
        now = time.time()
        youngest = now - self._grace_seconds
        most = _MOST_CANDIDATES
        oldest: list[tuple[float, str]] = []
        files = size = 0
        for entry in self._files():
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                files += 1
                size += _on_disk(status.st_size)
                used_at = _used_at(status, now)
                if used_at > youngest:
                    continue
                if len(oldest) < most:
                    heapq.heappush(oldest, (-used_at, entry.path))
                elif used_at < -oldest[0][0]:
                    heapq.heapreplace(oldest, (-used_at, entry.path))
        candidates = sorted((_Candidate(-used_at, path) for used_at, path in oldest), reverse=True)
        # a quarter is enough until the next count; all of a small store, where counting costs nothing
        del candidates[: max(0, len(candidates) - max(files // 4, 4096))]
        with self._lock:
            self._candidates = candidates
            self._enough = len(candidates) // 4
        return Sweep(files, size, len(candidates))

    def _evict(self, excess: int) -> int:
        """Remove candidates of `excess` bytes; the bytes that went."""
        now = time.time()
        freed = 0
        while freed < excess and self._candidates:
            candidate = self._candidates.pop()
            with suppress(OSError):
                status = os.lstat(candidate.path)
                if _used_at(status, now) > candidate.used_at:
                    continue
                os.unlink(candidate.path)
                freed += _on_disk(status.st_size)
                self._evicted += 1
                count(CACHE_EVICTIONS, ("frame_store",))
                self._wasted += bool(status.st_mode & UNREAD)
        self._used -= freed
        self._free += freed
        return freed

    def _lacking(self, size: int) -> int:
        """Bytes that must go before `size` more keep to the floor; StoreUnwritable where that is unknown."""
        now = time.monotonic()
        if now - self._free_known_at > _SPACE_SECONDS:
            try:
                self._free = free_bytes(self._root)
            except FileNotFoundError:
                # it was removed: writing makes it anew
                return 0
            except OSError as error:
                raise StoreUnwritable(f"the frame store does not answer: {error.strerror}") from error
            self._free_known_at = now
        lacking = self._min_free_bytes - (self._free - size)
        # a little more than the floor, else the next frame is below it again
        return lacking + self._min_free_bytes // 20 if lacking > 0 else 0

    def _order_sweep(self) -> None:
        """Have the list of the oldest made anew when it will be needed soon."""
        if self._used > self._max_bytes - self._max_bytes // 8:
            self._due.set()

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < deadline:
            time.sleep(0.1)

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for name in self._share.folders:
            try:
                with os.scandir(os.path.join(self._root, name)) as entries:
                    yield from entries
            except FileNotFoundError:
                continue

    def _remove_abandoned(self) -> None:
        """What writers left half-written that were never replaced; one janitor does it for all."""
        if self._share.number:
            return
        oldest = time.time() - _ABANDONED_SECONDS
        folder = os.path.join(self._root, INCOMING)
        with suppress(OSError), os.scandir(folder) as writers:
            for writer in writers:
                if writer.name.isdecimal() and int(writer.name) >= self._share.of:
                    shutil.rmtree(writer.path, ignore_errors=True)
        for place, _, names in os.walk(folder):
            for path in (os.path.join(place, name) for name in names):
                with suppress(OSError):
                    if os.lstat(path).st_mtime < oldest:
                        os.unlink(path)


def _on_disk(length: int) -> int:
    """Bytes that a file of `length` takes, in whole blocks."""
    return -(-length // _BLOCK) * _BLOCK


def _used_at(status: os.stat_result, now: float) -> float:
    """When a file was last used; a time far in the future (the clock was set back) counts as the oldest."""
    if stat.S_ISDIR(status.st_mode):
        # no frame, and not to be removed like one
        return now
    return 0.0 if status.st_mtime > now + _ABANDONED_SECONDS else status.st_mtime
