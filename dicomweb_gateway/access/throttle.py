"""Failed logins: whoever fails again and again must wait, longer each time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

from dicomweb_gateway.errors import TooManyRequests

_MOST_KEYS = 20_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    until: float = 0.0


class Throttle:
    """Refuses a key that has failed `free` times: for `first` seconds, then twice as long, up to `most`.

    A key that has not failed for `forget` seconds starts anew. As many keys are kept as fit a few megabytes;
    those that have not failed for the longest are forgotten first.
    """

    def __init__(
        self,
        free: int,
        first: float = 1.0,
        most: float = 300.0,
        forget: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._first = first
        self._most = most
        self._forget = forget
        self._clock = clock
        self._lock = Lock()
        self._known: OrderedDict[Hashable, _Failures] = OrderedDict()

    def check(self, key: Hashable) -> None:
        """TooManyRequests while `key` must wait."""
        with self._lock:
            found = self._known.get(key)
            left = found.until - self._clock() if found is not None else 0.0
        if left > 0:
            raise TooManyRequests("too many failed logins; try again later", left)

    def note_failure(self, key: Hashable) -> None:
        """`key` has failed."""
        now = self._clock()
        with self._lock:
            found = self._known.pop(key, None)
            if found is None or now - found.last > self._forget:
                found = _Failures()
            found.count += 1
            found.last = now
            over = found.count - self._free
            if over >= 0:
                found.until = now + min(self._most, self._first * 2.0 ** min(over, 30))
            self._known[key] = found
            while len(self._known) > _MOST_KEYS:
                self._known.popitem(last=False)

    def note_success(self, key: Hashable) -> None:
        """`key` has got it right."""
        with self._lock:
            self._known.pop(key, None)
