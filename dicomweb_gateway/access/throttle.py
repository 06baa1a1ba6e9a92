"""Failed logins: whoever fails again and again must wait, longer each time."""

import time
from collections.abc import Callable

from dicomweb_gateway.access.shared_failures import FailureBook
from dicomweb_gateway.errors import TooManyRequests


class Throttle:
    """Refuses a key that has failed `free` times: for `first` seconds, then twice as long, up to `most`.

    A key that has not failed for `forget` seconds starts anew. `book` knows the failures in all processes.
    """

    def __init__(
        self,
        book: FailureBook,
        free: int,
        first: float = 1.0,
        most: float = 300.0,
        forget: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._free = free
        self._first = first
        self._most = most
        self._forget = forget
        self._clock = clock

    def check(self, key: str) -> None:
        """TooManyRequests while `key` must wait."""
        now = self._clock()
        found = self._book.failures(key, now, self._forget)
        over = found.number - self._free
        if over < 0:
            return
        left = found.last + min(self._most, self._first * 2.0 ** min(over, 30)) - now
        if left > 0:
            raise TooManyRequests("too many failed logins; try again later", left)

    def note_failure(self, key: str) -> None:
        """`key` has failed."""
        self._book.fail(key, self._clock(), self._forget)

    def note_success(self, key: str) -> None:
        """`key` has got it right."""
        self._book.forgive(key, self._clock())
