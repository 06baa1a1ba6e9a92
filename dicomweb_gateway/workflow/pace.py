"""Keeps calls below a rate, whatever number of threads makes them (healthimaging.md 1.6)."""

import threading
import time


class Pace:
    """Lets at most `per_second` calls begin each second; None means as fast as they come."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 0.0 if per_second is None else 1 / per_second
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next call may begin."""
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        time.sleep(max(0.0, begin - now))
