"""Second requests for stragglers: when one is worth it, and how many there may be."""

import threading
from collections import deque
from collections.abc import Callable

from dicomweb_gateway.imagesets.exchange import Hedge

_FLOOR_SECONDS = 0.15
_TIMES_P95 = 3.0
_ENOUGH = 64
_KEPT = 512
_OVERTAKEN = 3
"""Answers to other calls that must have begun since one went out, for it to be a straggler."""
_SHARE = 0.03
_SAVED_UP = 5.0


class Hedging:
    """Knows how long answers take to begin; safe from any thread.

    A second request goes out after three times the 95th percentile, when answers to other calls have begun
    meanwhile, and for 3 % of the calls at most: a HealthImaging that has become slow as a whole is not asked
    twice, and neither is it for a single frame that many wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=_KEPT)
        self._since = 0
        self._after: float | None = None
        self._budget = 1.0
        self._answered = 0

    def plan(self, allowed: Callable[[], bool]) -> Hedge | None:
        """When the next call deserves a second request; None while too little is known.

        `allowed` is asked too before one is sent.
        """
        with self._lock:
            self._budget = min(_SAVED_UP, self._budget + _SHARE)
            after, answered = self._after, self._answered
        return None if after is None else Hedge(after, lambda: self._spend(answered) and allowed())

    def learn(self, seconds: float) -> None:
        """An answer began after so many seconds."""
        with self._lock:
            self._answered += 1
            self._recent.append(seconds)
            self._since += 1
            if self._since >= _ENOUGH:
                self._since = 0
                ordered = sorted(self._recent)
                p95 = ordered[len(ordered) * 95 // 100]
                self._after = max(_FLOOR_SECONDS, _TIMES_P95 * p95)

    def _spend(self, answered: int) -> bool:
        with self._lock:
            if self._budget < 1 or self._answered - answered < _OVERTAKEN:
                return False
            self._budget -= 1
            return True
