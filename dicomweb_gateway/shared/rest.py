"""When a server that fails is left alone, and when it is tried again."""

import threading
import time
from collections.abc import Callable

FAILURES = 5
"""Failures one after another that it takes."""

_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 30.0


class Rest:
    """After `FAILURES` failures in a row nothing is asked for a while, then one thing; longer each time.

    Safe from any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._seconds = 0.0
        self._until = 0.0
        self._tries = False

    def may_ask(self) -> bool:
        """Whether to ask; of many, during a rest, the first one after its end."""
        if not self._seconds:
            return True
        with self._lock:
            now = self._clock()
            if not self._seconds or now >= self._until:
                # whoever comes while this one asks waits for another rest
                self._until = now + self._seconds
                self._tries = bool(self._seconds)
                return True
            return False

    @property
    def rests(self) -> bool:
        """Whether the server is left alone."""
        return bool(self._seconds)

    def passed(self) -> bool:
        """The server answered; True when that ends a rest."""
        if not self._failures:
            return False
        with self._lock:
            ends = bool(self._seconds)
            self._failures = 0
            self._seconds = 0.0
            self._tries = False
            return ends

    def failed(self) -> bool:
        """It did not; True when a first rest begins."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES or (self._seconds and not self._tries):
                # what was asked before the rest began and fails during it makes it no longer
                return False
            self._tries = False
            begins = not self._seconds
            self._seconds = min(_LONGEST_SECONDS, self._seconds * 2 or _FIRST_SECONDS)
            self._until = self._clock() + self._seconds
            return begins
