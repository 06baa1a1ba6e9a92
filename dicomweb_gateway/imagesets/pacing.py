"""A shared rate: all processes of a host together stay under HealthImaging's quotas (healthimaging.md 1.6).

Each quota is a token bucket in a small file of its own. Who wants to call takes a token under the file's
lock, books the time at which it comes if there is none, and waits. The lock dies with its holder. A file that
is lost, torn or not writable costs accuracy only: the bucket starts full, or each process keeps its own.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dicomweb_gateway.errors import UpstreamThrottled
from dicomweb_gateway.imagesets.rate_bucket import URGENT_ONLY, Bucket
from dicomweb_gateway.imagesets.rate_file import RateFile
from dicomweb_gateway.telemetry.tally import Tally

Urgency = bool | Callable[[], bool]
"""Whether somebody waits for a call; a function where that may change while the call waits for its turn."""

_POLL_SECONDS = 0.05
_LARGEST_LEASE = 8
_LEASE_SHARE = 4
_LEASE_SECONDS = 0.01


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
        self._file = RateFile(folder / f"rate-{self._digest.hex()}" if folder is not None else None)
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

    def _take_lease(self, bucket: Bucket) -> None:
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

    def __enter__(self) -> Bucket:
        rate = self._rate
        rate._file.lock()
        now = time.monotonic()
        self._bucket = Bucket.unpack(rate._file.read(), rate._digest, rate._limit, now)
        self._bucket.advance(rate._limit, now)
        return self._bucket

    def __exit__(self, *_: object) -> None:
        rate = self._rate
        rate._file.write(self._bucket.pack(rate._digest))
        rate._file.unlock()


def is_urgent(urgent: Urgency) -> bool:
    """Whether somebody waits at this moment."""
    return urgent() if callable(urgent) else urgent


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
