"""Which series and image sets are leafed through: those are read whole, not piece by piece."""

import time
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

_LOOKUPS = 3
"""Instances of a series that are looked up one by one before the rest is read with the next."""
_LARGEST = 4000
"""Instances and frames; of more too many would be read for nothing."""
_REMEMBERED = 1024


class Neighbours:
    """Counts the lookups in each series over the last `seconds`; from any thread.

    A series of more than `largest` instances and frames is not read whole.
    """

    def __init__(self, seconds: float, largest: int = _LARGEST) -> None:
        self._seconds = seconds
        self._largest = largest
        self._lock = Lock()
        self._lookups: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def looked_up(self, series: Hashable) -> bool:
        """Note that an instance of `series` is looked up; whether all of them should be."""
        now = time.monotonic()
        with self._lock:
            count, until = self._lookups.pop(series, (0, 0.0))
            if count < 0:
                self._lookups[series] = (count, until)
                return False
            count = 1 if until < now else count + 1
            self._lookups[series] = (count, now + 2 * self._seconds)
            if len(self._lookups) > _REMEMBERED:
                self._lookups.popitem(last=False)
        return self._seconds > 0 and count > _LOOKUPS

    def learned(self, series: Hashable, size: int) -> None:
        """How many instances and frames `series` turned out to have: a large one is not read whole again."""
        if size > self._largest:
            with self._lock:
                self._lookups[series] = (-1, 0.0)
