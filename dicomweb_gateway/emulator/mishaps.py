"""Makes the switches of `Faults` happen: waits, failures, throttling, "still processing", cut frames."""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dicomweb_gateway.emulator.config import THROTTLE_RATES, Faults, changed_faults
from dicomweb_gateway.emulator.errors import Conflict, InternalFailure, InvalidRequest, Throttled


class Mishaps:
    """The switches as they are now, and what they remember; safe for all request threads."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self._faults = faults
        self._random = random.Random()  # noqa: S311  # no secret hangs on it
        self._buckets: dict[str, tuple[float, float]] = {}
        self._conflicts: Counter[tuple[str, int]] = Counter()

    @property
    def faults(self) -> Faults:
        """The switches as they are now."""
        return self._faults

    def change(self, changes: Mapping[str, Any]) -> Faults:
        """Set the named switches; InvalidRequest, and nothing changed, when one does not fit."""
        with self._lock:
            try:
                self._faults = changed_faults(self._faults, changes)
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
            self._buckets.clear()
            self._conflicts.clear()
            return self._faults

    def before(self, operation: str) -> None:
        """Wait, throttle or fail, before an operation is carried out."""
        faults = self._faults
        if faults.latency_ms:
            time.sleep(faults.latency_ms / 1000)
        if faults.throttle and not self._admitted(operation, faults.throttle_scale):
            raise Throttled("Rate exceeded")
        concerned = not faults.failure_operations or operation in faults.failure_operations
        if concerned and self._happens(faults.failure_rate):
            raise InternalFailure("The failure switch is on")

    def still_processing(self, image_set_id: str, version: int) -> None:
        """Raise Conflict for the first `conflict` metadata requests of each image set version."""
        with self._lock:
            if self._conflicts[image_set_id, version] >= self._faults.conflict:
                return
            self._conflicts[image_set_id, version] += 1
        raise Conflict(f"Image set {image_set_id} is still being processed")

    def cut(self, frame: bytes) -> bytes:
        """The frame, or its first half when the dice say so."""
        return frame[: len(frame) // 2] if self._happens(self._faults.corrupt_rate) else frame

    def _happens(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate

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
