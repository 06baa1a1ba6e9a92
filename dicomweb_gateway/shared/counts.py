"""Numbers of what happened in the shared tier."""

from collections import Counter
from threading import Lock


class Counts:
    """Counts by name; safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """One more."""
        with self._lock:
            self._counts[name] += 1

    def snapshot(self) -> dict[str, int]:
        """All of them as they are now."""
        with self._lock:
            return dict(self._counts)
