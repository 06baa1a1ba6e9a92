"""The circuit breaker: a HealthImaging that is down is not asked by everybody, and nobody waits for it."""

import threading
import time
from collections.abc import Callable

from dicomweb_gateway.errors import UpstreamUnavailable
from dicomweb_gateway.telemetry.tally import Tally

FAILURES = 10
"""Tries that must fail one after another; at a failure rate of 5 % that happens once in 10^13 tries."""

_THINGS = 3
_WINDOW_SECONDS = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class Breaker:
    """Opens after `FAILURES` failures in a row, then lets single tries through after growing pauses.

    The failures must concern at least three different things: one frame that HealthImaging cannot give must
    not cost the others. A failure to connect concerns everything. Safe from any thread.
    """

    def __init__(self, tally: Tally | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._tally = tally or Tally()
        self._failures = 0
        self._things: set[str] = set()
        self._failed_at = 0.0
        self._pause = 0.0
        self._open_until = 0.0
        self._probing = False

    def check(self) -> None:
        """UpstreamUnavailable while no try may be made."""
        with self._lock:
            self._refuse_if_open()

    def admit(self) -> bool:
        """Return when a try may be made: True for the single one that shows whether things are better.

        UpstreamUnavailable else. Whoever was let in must say how it went.
        """
        with self._lock:
            self._refuse_if_open()
            self._probing = bool(self._pause)
            return self._probing

    def passed(self) -> None:
        """HealthImaging answered, be it with a refusal."""
        with self._lock:
            self._failures = 0
            self._things.clear()
            self._pause = 0.0
            self._probing = False

    def unknown(self, probe: bool) -> None:
        """The try ended without saying anything about HealthImaging."""
        with self._lock:
            self._probing = self._probing and not probe

    def failed(self, probe: bool, thing: str | None) -> None:
        """The try failed: for `thing`, or for everything (None)."""
        with self._lock:
            now = self._clock()
            if probe:
                self._probing = False
                self._open(now, min(_LONGEST_PAUSE, self._pause * 2))
                return
            if self._pause:
                # begun before the breaker opened; it knows already
                return
            if now - self._failed_at > _WINDOW_SECONDS:
                self._failures = 0
                self._things.clear()
            self._failed_at = now
            self._failures += 1
            self._note(thing)
            if self._failures >= FAILURES and len(self._things) >= _THINGS:
                self._tally.add("breaker_opens")
                self._open(now, _FIRST_PAUSE)

    def _note(self, thing: str | None) -> None:
        if thing is None:
            self._things.update(("connecting", "fails", "everywhere"))
        elif len(self._things) < _THINGS:
            self._things.add(thing)

    def _open(self, now: float, pause: float) -> None:
        self._pause = pause
        self._open_until = now + pause

    def _refuse_if_open(self) -> None:
        if not self._pause:
            return
        left = self._open_until - self._clock()
        if left > 0 or self._probing:
            self._tally.add("refused_unavailable")
            raise UpstreamUnavailable(
                "HealthImaging does not answer; it is asked again in a moment", retry_after=max(1.0, left)
            )
