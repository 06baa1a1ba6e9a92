"""Makes the switches of `Faults` happen: waits, refusals, throttling, spoilt answers."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_gateway.emulator.config import THROTTLE_RATES, Faults, changed_faults
from dicomweb_gateway.emulator.counters import Counters
from dicomweb_gateway.emulator.errors import (
    Conflict,
    ExpiredToken,
    Forbidden,
    FrontEndFailure,
    InternalFailure,
    InvalidRequest,
    ServiceError,
    Throttled,
)
from dicomweb_gateway.emulator.fault_rules import FaultRule
from dicomweb_gateway.emulator.wire_faults import WireFault

_LOOK = 0.05
"""Seconds between two looks at whether the client of a hanging request is still there."""
_MOST_HANGING = 96
"""Requests that hang, each in a thread; further ones are hung up: the switch must stay in reach."""


@dataclass(slots=True)
class _Standing:
    """A rule, how many calls it may still strike (None: any number), and until when (monotonic)."""

    rule: FaultRule
    calls: int | None
    until: float | None


class Mishaps:
    """The switches as they are now, and what they remember; safe for all request threads.

    Whatever is made to go wrong is noted in `counters`.
    """

    def __init__(self, faults: Faults, counters: Counters) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._hanging = threading.BoundedSemaphore(_MOST_HANGING)
        self._generation = 0
        self._ended = False
        self._faults = faults
        self._counters = counters
        self._dice: dict[str, random.Random] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._conflicts: Counter[tuple[str, int]] = Counter()
        self._standing = _standing(faults)

    @property
    def faults(self) -> Faults:
        """The switches as they are now."""
        return self._faults

    def change(self, changes: Mapping[str, Any]) -> Faults:
        """Set the named switches; InvalidRequest, and nothing changed, when one does not fit.

        What rules, rates and conflicts have counted starts anew, and whatever hangs is hung up; the dice
        start anew only when `seed` is named.
        """
        with self._lock:
            try:
                self._faults = changed_faults(self._faults, changes)
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
            self._buckets.clear()
            self._conflicts.clear()
            if "seed" in changes:
                self._dice.clear()
            self._standing = _standing(self._faults)
            self._generation += 1
            self._changed.notify_all()
            return self._faults

    def end(self) -> None:
        """Let everything go on that waits, now and later."""
        with self._lock:
            self._ended = True
            self._generation += 1
            self._changed.notify_all()

    def before(
        self, operation: str, key: str | None = None, has_left: Callable[[], bool] = lambda: False
    ) -> tuple[FaultRule, ...]:
        """Wait, throttle or refuse, before an operation is carried out; the rules that spoil its answer.

        `key`: the access key id of the request; `has_left` tells whether the client has gone.
        """
        faults = self._faults
        if faults.latency_ms:
            time.sleep(faults.latency_ms / 1000)
        if faults.throttle and not self._admitted(operation, faults.throttle_scale):
            self._counters.fault(operation, "throttle")
            raise Throttled("Rate exceeded")
        struck = self._struck(operation, key)
        for rule in struck:
            refusal = _refusal(rule)
            if refusal is not None:
                raise refusal
            if rule.kind == "late":
                self._pause(rule.wait, has_left)
            elif rule.kind == "hang" and self._hanging.acquire(blocking=False):
                self._pause(rule.wait, has_left)
                self._hanging.release()
        return struck

    def spoilt(self, struck: Sequence[FaultRule], body: bytes) -> bytes:
        """The body as it is sent: cut in half, or with bits turned over."""
        for rule in struck:
            if rule.kind == "cut":
                body = body[: len(body) // 2]
            elif rule.kind == "flip" and body:
                body = self._flipped(body, rule.bits)
        return body

    def wire_fault(self, struck: Sequence[FaultRule]) -> WireFault | None:
        """What happens to the answer on its way, None when it goes out as it should."""
        for rule in struck:
            if rule.kind == "hang":
                return WireFault(ends_at="answer")
            if rule.kind in ("drop", "truncate"):
                return WireFault(ends_at=rule.at, reset=rule.kind == "drop")
        speeds = [rule.bytes_per_second for rule in struck if rule.kind == "slow"]
        return WireFault(bytes_per_second=min(speeds), pause=self._pause) if speeds else None

    def still_processing(self, image_set_id: str, version: int) -> None:
        """Raise Conflict for the first `conflict` metadata requests of each image set version."""
        with self._lock:
            if self._conflicts[image_set_id, version] >= self._faults.conflict:
                return
            self._conflicts[image_set_id, version] += 1
        raise Conflict(f"Image set {image_set_id} is still being processed")

    def _struck(self, operation: str, key: str | None) -> tuple[FaultRule, ...]:
        now = time.monotonic()
        struck = []
        with self._lock:
            dice = self._dice_of(operation)
            for standing in self._standing:
                rule = standing.rule
                if not rule.concerns(operation, key) or standing.calls == 0:
                    continue
                if (standing.until is not None and now >= standing.until) or dice.random() >= rule.rate:
                    continue
                if standing.calls is not None:
                    standing.calls -= 1
                struck.append(rule)
        for rule in struck:
            self._counters.fault(operation, rule.kind)
        return tuple(struck)

    def _dice_of(self, operation: str) -> random.Random:
        """Each operation has its own, so that others' calls do not change what it meets."""
        found = self._dice.get(operation)
        if found is None:
            seed = None if self._faults.seed is None else f"{self._faults.seed}:{operation}"
            found = self._dice[operation] = random.Random(seed)  # noqa: S311  # no secret hangs on it
        return found

    def _flipped(self, body: bytes, bits: int) -> bytes:
        changed = bytearray(body)
        with self._lock:
            dice = self._dice_of("flip")
            places = dice.sample(range(len(body) * 8), min(bits, len(body) * 8))
        for place in places:
            changed[place // 8] ^= 1 << place % 8
        return bytes(changed)

    def _pause(self, seconds: float | None, has_left: Callable[[], bool] = lambda: False) -> bool:
        """Wait so many seconds, None for ever; False when switches change or the client leaves before."""
        until = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            generation = self._generation
            while True:
                left = _LOOK if until is None else until - time.monotonic()
                if self._ended or generation != self._generation or has_left():
                    return False
                if left <= 0:
                    return True
                self._changed.wait(min(left, _LOOK))

    def _admitted(self, operation: str, scale: float) -> bool:
        """Token bucket of one operation: filled to its burst, refilled at its rate."""
        rate, burst = (figure * scale for figure in THROTTLE_RATES.get(operation, (10, 20)))
        burst = max(burst, 1)
        now = time.monotonic()
        with self._lock:
            tokens, since = self._buckets.get(operation, (burst, now))
            tokens = min(burst, tokens + (now - since) * rate)
            admitted = tokens >= 1
            self._buckets[operation] = (tokens - admitted, now)
        return admitted


def _standing(faults: Faults) -> list[_Standing]:
    now = time.monotonic()
    return [
        _Standing(rule, rule.calls, None if rule.seconds is None else now + rule.seconds)
        for rule in faults.all_rules
    ]


def _refusal(rule: FaultRule) -> ServiceError | None:
    match rule.kind:
        case "throttle":
            refusal = Throttled("Rate exceeded")
            refusal.retry_after = rule.wait
            return refusal
        case "error" if rule.status == InternalFailure.status:
            return InternalFailure("The failure switch is on")
        case "error":
            return FrontEndFailure(rule.status)
        case "conflict":
            return Conflict("The resource is still being processed")
        case "denied":
            return Forbidden("The failure switch is on")
        case "expired":
            return ExpiredToken("The security token included in the request is expired")
    return None
