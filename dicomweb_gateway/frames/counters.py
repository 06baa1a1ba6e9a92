"""Named counters of one process, safe from any thread."""

import threading
from collections import Counter


class Counters:
    """Counts from zero since the process began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Add `amount` to the counter `name`."""
        with self._lock:
            self._counts[name] += amount

    def snapshot(self) -> dict[str, int]:
        """All counters that were ever touched."""
        with self._lock:
            return dict(self._counts)
