"""What a process has asked of HealthImaging, in numbers; safe from any thread."""

import threading
from collections import Counter


class Tally:
    """Counts, and seconds, from zero since it was made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()

    def add(self, name: str, amount: float = 1) -> None:
        """Add `amount` to the number `name`."""
        with self._lock:
            self._numbers[name] += amount  # type: ignore[assignment]

    def snapshot(self) -> dict[str, int | float]:
        """All numbers that were ever touched."""
        with self._lock:
            return dict(self._numbers)
