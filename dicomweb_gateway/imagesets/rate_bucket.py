"""A token bucket as a value: what it holds, how it fills, how a refusal slows it; no file, no waiting."""

import math
import struct

URGENT_ONLY = 0.3
"""Share of a rate that calls nobody waits for must leave alone."""

RECORD = struct.Struct("<8s16s7d")
_MAGIC = b"DGRATE1\0"
_BURST_SECONDS = 0.05
_CUT = 0.7
_CUT_EVERY_SECONDS = 1.0
_REGROWTH_PER_SECOND = 0.05
_LOWEST = 0.05
_LONGEST_QUEUE_SECONDS = 3600


class Bucket:
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
    def unpack(cls, raw: bytes, digest: bytes, limit: float, now: float) -> "Bucket":
        """What `raw` holds; a new bucket when that is another's, damaged, or from before a restart."""
        bucket = cls(limit, now)
        if len(raw) != RECORD.size:
            return bucket
        magic, owner, *numbers = RECORD.unpack(raw)
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
        return RECORD.pack(
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


def _burst(limit: float) -> float:
    return max(1.0, limit * _BURST_SECONDS)
