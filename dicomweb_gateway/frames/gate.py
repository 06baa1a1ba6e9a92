"""Lets few threads at once do what costs a processor core, those first that somebody waits for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class UrgentFirst:
    """`slots` passes; when one is given back, a thread whose work is urgent by then gets it first.

    It is an order, not a wall: after `patience` seconds a thread goes on without a pass, so that a few that
    are stuck hold up nobody for longer.
    """

    def __init__(self, slots: int, patience: float = 5.0) -> None:
        self._free = slots
        self._patience = patience
        self._lock = threading.Lock()
        self._waiting: list[_Place] = []

    @contextmanager
    def passing(self, is_urgent: Callable[[], bool]) -> Iterator[None]:
        """Wait for a pass; `is_urgent` is asked whenever one becomes free."""
        has_pass = self._enter(is_urgent)
        try:
            yield
        finally:
            if has_pass:
                self._give_back()

    def _enter(self, is_urgent: Callable[[], bool]) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            place = _Place(is_urgent)
            self._waiting.append(place)
        if place.called.wait(self._patience):
            return True
        with self._lock:
            if place.called.is_set():
                return True
            self._waiting.remove(place)
            return False

    def _give_back(self) -> None:
        with self._lock:
            chosen = next((place for place in self._waiting if place.is_urgent()), None)
            if chosen is None and self._waiting:
                chosen = self._waiting[0]
            if chosen is None:
                self._free += 1
                return
            self._waiting.remove(chosen)
            chosen.called.set()


class _Place:
    __slots__ = ("called", "is_urgent")

    def __init__(self, is_urgent: Callable[[], bool]) -> None:
        self.is_urgent = is_urgent
        self.called = threading.Event()
