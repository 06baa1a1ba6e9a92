"""Counts what the emulator was asked, so that tests can say "one upstream request per frame"."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Operation:
    requests: int = 0
    bytes: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Counters:
    """Per operation: requests, bytes of answers, statuses, faults by kind, in flight now and at most; per
    frame: requests.

    A request counts from its arrival, whatever its answer is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[str, _Operation] = {}
        self._frames: Counter[str] = Counter()

    def begin(self, operation: str) -> None:
        """A request has come."""
        with self._lock:
            counted = self._operations.setdefault(operation, _Operation())
            counted.requests += 1
            counted.in_flight += 1
            counted.max_in_flight = max(counted.max_in_flight, counted.in_flight)

    def end(self, operation: str, status: int, length: int) -> None:
        """Its answer leaves."""
        with self._lock:
            counted = self._operations.setdefault(operation, _Operation())
            counted.in_flight -= 1
            counted.bytes += length
            counted.statuses[status] += 1

    def fault(self, operation: str, kind: str) -> None:
        """A call was made to go wrong."""
        with self._lock:
            self._operations.setdefault(operation, _Operation()).faults[kind] += 1

    def frame(self, frame_id: str) -> None:
        """A frame was asked for."""
        with self._lock:
            self._frames[frame_id] += 1

    def reset(self) -> None:
        """Everything to zero, but for what is in flight."""
        with self._lock:
            self._frames.clear()
            for name, counted in self._operations.items():
                self._operations[name] = _Operation(
                    in_flight=counted.in_flight, max_in_flight=counted.in_flight
                )

    def snapshot(self) -> dict[str, Any]:
        """All figures as JSON values."""
        with self._lock:
            operations = {
                name: {
                    "requests": counted.requests,
                    "bytes": counted.bytes,
                    "inFlight": counted.in_flight,
                    "maxInFlight": counted.max_in_flight,
                    "statuses": {str(status): n for status, n in sorted(counted.statuses.items())},
                    "faults": dict(sorted(counted.faults.items())),
                }
                for name, counted in sorted(self._operations.items())
            }
            return {"operations": operations, "frames": dict(self._frames)}
