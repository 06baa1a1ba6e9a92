"""A shared rate: all processes of a host together stay under HealthImaging's quotas (healthimaging.md 1.6).

Each quota is a token bucket in a small file of its own. Who wants to call takes a token under the file's
lock, books the time at which it comes if there is none, and waits. The lock dies with its holder. A file that
is lost, torn or not writable costs accuracy only: the bucket starts full, or each process keeps its own.
"""

import errno
import fcntl
import hashlib
import logging
import math
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dicomweb_gateway.errors import UpstreamThrottled
from dicomweb_gateway.telemetry.tally import Tally

URGENT_ONLY = 0.3
"""Share of a rate that calls nobody waits for must leave alone."""

Urgency = bool | Callable[[], bool]
"""Whether somebody waits for a call; a function where that may change while the call waits for its turn."""

_RECORD = struct.Struct("<8s16s7d")
_MAGIC = b"DGRATE1\0"
_BURST_SECONDS = 0.05
_CUT = 0.7
_CUT_EVERY_SECONDS = 1.0
_REGROWTH_PER_SECOND = 0.05
_LOWEST = 0.05
_LOOK_AGAIN_SECONDS = 5.0
_LOCK_TRIES = 20
_POLL_SECONDS = 0.05
_LARGEST_LEASE = 8
_LEASE_SHARE = 4
_LEASE_SECONDS = 0.01
_LONGEST_QUEUE_SECONDS = 3600

log = logging.getLogger(__name__)


class _Bucket:
    """The state of one rate; moments are of time.monotonic, which all processes of a host share.

    `tokens` may be negative: so many calls have booked a token that is still to come. `seen` counts calls
    since `seen_from`, to know the true rate when HealthImaging refuses one. `leisure` are the tokens of calls
    that nobody waits for, which need one of each kind.
    """

    __slots__ = ("at", "cut_at", "leisure", "rate", "seen", "seen_from", "tokens")

    def __init__(self, limit: float, now: float) -> None:
        self.tokens = self.leisure = _burst(limit)
        self.at = now
        self.rate = limit
        self.cut_at = 0.0
        self.seen = 0.0
        self.seen_from = now

    @classmethod
    def unpack(cls, raw: bytes, digest: bytes, limit: float, now: float) -> "_Bucket":
        """What `raw` holds; a new bucket when that is another's, damaged, or from before a restart."""
        bucket = cls(limit, now)
        if len(raw) != _RECORD.size:
            return bucket
        magic, owner, *numbers = _RECORD.unpack(raw)
        if magic != _MAGIC or owner != digest or not all(map(math.isfinite, numbers)):
            return bucket
        tokens, leisure, at, rate, cut_at, seen, seen_from = numbers
        if at > now or rate <= 0 or tokens < -limit * _LONGEST_QUEUE_SECONDS:
            return bucket
        bucket.tokens, bucket.leisure, bucket.at, bucket.rate = tokens, leisure, at, min(rate, limit)
        bucket.cut_at, bucket.seen, bucket.seen_from = cut_at, seen, seen_from
        return bucket

    def pack(self, digest: bytes) -> bytes:
        """The record of the bucket in the file."""
        return _RECORD.pack(
            _MAGIC,
            digest,
            self.tokens,
            self.leisure,
            self.at,
            self.rate,
            self.cut_at,
            self.seen,
            self.seen_from,
        )

    def advance(self, limit: float, now: float) -> None:
        """Let the time that has passed bring tokens, and back what a cut took of the rate."""
        passed = now - self.at
        self.at = now
        self.tokens = min(_burst(limit), self.tokens + passed * self.rate)
        self.leisure = min(_burst(limit), self.leisure + passed * self.rate * (1 - URGENT_ONLY))
        if self.rate < limit:
            self.rate = min(limit, self.rate + passed * _REGROWTH_PER_SECOND * limit)
        if now - self.seen_from > 2:
            self.seen /= 2
            self.seen_from = now - 1

    def cut(self, limit: float, now: float) -> bool:
        """Go on more slowly than what was just refused; False when that has only just been done."""
        if 0 <= now - self.cut_at < _CUT_EVERY_SECONDS:
            return False
        true_rate = self.seen / max(0.5, now - self.seen_from)
        self.rate = max(_LOWEST * limit, _CUT * min(self.rate, true_rate))
        self.cut_at = now
        return True


class _Lease(NamedTuple):
    """Tokens that this process took along: how many are `left`, and `until` when (time.monotonic)."""

    left: int
    until: float
    owner: int


_NO_LEASE = _Lease(0, 0.0, 0)


class SharedRate:
    """One rate limit, in calls a second over all processes that give the same `name` and `folder`.

    Safe from any thread and over fork. `folder` None keeps the rate to this process.
    """

    def __init__(
        self, limit: float, name: str, folder: Path | None = None, tally: Tally | None = None
    ) -> None:
        self._limit = limit
        self._digest = hashlib.sha256(name.encode()).digest()[:16]
        self._file = _RateFile(folder / f"rate-{self._digest.hex()}" if folder is not None else None)
        self._lock = threading.Lock()
        self._tally = tally or Tally()
        self._lease = _NO_LEASE

    def take(self, patience: float, urgent: Urgency = True) -> None:
        """Return when one more call may be made.

        UpstreamThrottled at once when that is further away than `patience` seconds. A call that is not
        urgent leaves `URGENT_ONLY` of the rate to those that are, and never books ahead.
        """
        wait = self._book(patience) if is_urgent(urgent) else self._wait_for_leisure(patience, urgent)
        if wait > 0:
            self._tally.add("rate_waits")
            self._tally.add("rate_wait_seconds", wait)
            time.sleep(wait)

    def try_take(self) -> bool:
        """A token if one lies there now."""
        with self._lock, _Access(self) as bucket:
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            bucket.seen += 1
            return True

    def throttled(self) -> None:
        """HealthImaging has refused a call: all slow down, and become faster again with time."""
        with self._lock, _Access(self) as bucket:
            self._lease = _NO_LEASE
            if bucket.cut(self._limit, bucket.at):
                self._tally.add("rate_cuts")

    def rate(self) -> float:
        """Calls a second that are allowed now."""
        with self._lock, _Access(self) as bucket:
            return bucket.rate

    def _book(self, patience: float) -> float:
        with self._lock:
            if self._has_lease():
                return 0.0
            with _Access(self) as bucket:
                wait = max(0.0, (1 - bucket.tokens) / bucket.rate)
                if wait > patience:
                    raise _too_far(wait)
                bucket.tokens -= 1
                bucket.seen += 1
                self._take_lease(bucket)
                return wait

    def _has_lease(self) -> bool:
        lease = self._lease
        if not lease.left or lease.owner != os.getpid() or time.monotonic() > lease.until:
            return False
        self._lease = lease._replace(left=lease.left - 1)
        return True

    def _take_lease(self, bucket: _Bucket) -> None:
        """While there are plenty take a few more tokens along: each look into the file costs system calls.

        They are used at once or not at all, so no more calls are made than the rate allows.
        """
        spare = min(_LARGEST_LEASE, int(bucket.tokens / _LEASE_SHARE))
        if spare > 0:
            bucket.tokens -= spare
            bucket.seen += spare
            self._lease = _Lease(spare, bucket.at + _LEASE_SECONDS, os.getpid())

    def _wait_for_leisure(self, patience: float, urgent: Urgency) -> float:
        """Wait until there is a token that the urgent calls can spare; the seconds that are left to wait.

        That is 0, unless the call has become urgent: then it has booked like the others of its kind.
        """
        begun = time.monotonic()
        while (wait := self._leisure()) > 0:
            left = patience - (time.monotonic() - begun)
            if is_urgent(urgent):
                return self._book(left)
            if wait > left:
                raise _too_far(wait)
            self._tally.add("rate_wait_seconds", min(wait, _POLL_SECONDS))
            time.sleep(min(wait, _POLL_SECONDS))
        return 0.0

    def _leisure(self) -> float:
        """0 when a call that is not urgent was booked, else the least number of seconds until it may be."""
        with self._lock, _Access(self) as bucket:
            scarce = min(bucket.tokens, bucket.leisure / (1 - URGENT_ONLY))
            if min(bucket.tokens, bucket.leisure) < 1:
                return (1 / (1 - URGENT_ONLY) - scarce) / bucket.rate
            bucket.tokens -= 1
            bucket.leisure -= 1
            bucket.seen += 1
            return 0.0


class _Access:
    """The bucket, brought up to now, while the file is locked; written back at the end."""

    __slots__ = ("_bucket", "_rate")

    def __init__(self, rate: SharedRate) -> None:
        self._rate = rate

    def __enter__(self) -> _Bucket:
        rate = self._rate
        rate._file.lock()
        now = time.monotonic()
        self._bucket = _Bucket.unpack(rate._file.read(), rate._digest, rate._limit, now)
        self._bucket.advance(rate._limit, now)
        return self._bucket

    def __exit__(self, *_: object) -> None:
        rate = self._rate
        rate._file.write(self._bucket.pack(rate._digest))
        rate._file.unlock()


class _RateFile:
    """The file of a bucket as this process sees it; kept in memory without `path` or when the disk fails."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        self._owner = 0
        self._look_at = 0.0
        self._locked = False
        self._memory = b""

    def lock(self) -> None:
        """Lock the file; go on without after some milliseconds, as when its holder was stopped."""
        self._open()
        self._locked = False
        for _ in range(_LOCK_TRIES if self._descriptor >= 0 else 0):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._locked = True
                return
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    return
                time.sleep(0.0005)

    def unlock(self) -> None:
        """Let the next one in."""
        if self._locked:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def read(self) -> bytes:
        """The record, or less where the file ends before."""
        if self._descriptor < 0:
            return self._memory
        try:
            return os.pread(self._descriptor, _RECORD.size, 0)
        except OSError:
            return b""

    def write(self, raw: bytes) -> None:
        """Keep the record."""
        if self._descriptor >= 0:
            try:
                os.pwrite(self._descriptor, raw, 0)
                return
            except OSError:
                self._forget("cannot be written")
        self._memory = raw

    def _open(self) -> None:
        """Have the file open: again in a forked process, and when another file now has its name."""
        now = time.monotonic()
        if self._path is None or (self._owner == os.getpid() and now < self._look_at):
            return
        self._look_at = now + _LOOK_AGAIN_SECONDS
        if self._owner == os.getpid() and self._is_current(self._path):
            return
        if self._descriptor >= 0:
            # that of a parent process shares its locks
            os.close(self._descriptor)
        self._descriptor = -1
        self._owner = os.getpid()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("rates are not shared between processes: %s cannot be opened (%s)", self._path, error)

    def _is_current(self, path: Path) -> bool:
        if self._descriptor < 0:
            return False
        try:
            there, ours = os.stat(path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _forget(self, reason: str) -> None:
        log.warning("rates are not shared between processes: %s %s", self._path, reason)
        if self._locked:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._locked = False
        os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def is_urgent(urgent: Urgency) -> bool:
    """Whether somebody waits at this moment."""
    return urgent() if callable(urgent) else urgent


def _burst(limit: float) -> float:
    return max(1.0, limit * _BURST_SECONDS)


def _too_far(wait: float) -> UpstreamThrottled:
    return UpstreamThrottled("the rate limit of HealthImaging is used up", retry_after=max(1.0, wait))


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Calls a second to one data store, 0 for any number; shared by all processes that name the `folder`."""

    frames: float = 0
    metadata: float = 0
    folder: Path | None = None


class Rates:
    """The rate limit of each data store at one endpoint; safe from any thread."""

    def __init__(self, limits: RateLimits, endpoint: str, tally: Tally) -> None:
        self._limits = limits
        self._endpoint = endpoint
        self._tally = tally
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], SharedRate] = {}

    def frames(self, datastore_id: str) -> SharedRate | None:
        """For GetImageFrame."""
        return self._of("GetImageFrame", datastore_id, self._limits.frames)

    def documents(self, datastore_id: str) -> SharedRate | None:
        """For GetImageSetMetadata."""
        return self._of("GetImageSetMetadata", datastore_id, self._limits.metadata)

    def _of(self, operation: str, datastore_id: str, limit: float) -> SharedRate | None:
        if not limit:
            return None
        with self._lock:
            rate = self._known.get((operation, datastore_id))
            if rate is None:
                name = f"{self._endpoint} {operation} {datastore_id}"
                rate = SharedRate(limit, name, self._limits.folder, self._tally)
                self._known[operation, datastore_id] = rate
            return rate
