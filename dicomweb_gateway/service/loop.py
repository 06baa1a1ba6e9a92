"""The sockets of a web process in one epoll, in place of waitress's loop.

That one asks every connection twice and registers it anew at each turn, two or three turns a request: with
hundreds of idle viewers it does little else. Here a turn costs what happens in it.
"""

import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.trigger import trigger


class Watched(dict[int, Any]):
    """The dispatchers by descriptor, as waitress's `map`; what is in it is watched.

    A dispatcher is asked what it waits for when it comes in, after each of its events and after `wake`.
    All but `wake` is for the one thread that calls `turn`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._interests: dict[int, int] = {}
        self._woken: deque[Any] = deque()
        self._lock = threading.Lock()
        self._signalled = False
        self._trigger: Any = trigger(self)  # type: ignore[arg-type]

    def __setitem__(self, descriptor: int, dispatcher: Any) -> None:
        super().__setitem__(descriptor, dispatcher)
        self._interests[descriptor] = 0
        self._epoll.register(descriptor, 0)
        self._woken.append(dispatcher)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        del self._interests[descriptor]
        self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Give the epoll back, when nothing is watched any more."""
        self._epoll.close()

    def interrupt(self) -> None:
        """End the present turn; also for signal handlers."""
        self._trigger.pull_trigger()

    def wake(self, dispatcher: Any) -> None:
        """Have the loop ask `dispatcher` again; from any thread."""
        self._woken.append(dispatcher)
        with self._lock:
            if self._signalled:
                return
            self._signalled = True
        self._trigger.pull_trigger()

    def turn(self, seconds: float) -> None:
        """Wait for at most `seconds` until something happens, and deal with it."""
        self._ask_woken()
        for descriptor, events in self._epoll.poll(0 if self._woken else seconds):
            dispatcher = self.get(descriptor)
            if dispatcher is not None:
                wasyncore.readwrite(dispatcher, events)
                self._guarded(self.ask, dispatcher)
        self._ask_woken()

    def ask(self, dispatcher: Any) -> None:
        """Watch for what `dispatcher` waits for now."""
        descriptor: int = dispatcher._fileno or -1
        if descriptor not in self or self[descriptor] is not dispatcher:
            return
        # not EPOLLPRI: nobody reads urgent data, which would end every turn at once
        interest = select.EPOLLIN if dispatcher.readable() else 0
        if not dispatcher.accepting and dispatcher.writable():
            interest |= select.EPOLLOUT
        if interest != self._interests[descriptor]:
            self._interests[descriptor] = interest
            self._epoll.modify(descriptor, interest)

    def _ask_woken(self) -> None:
        with self._lock:
            self._signalled = False
        for _ in range(len(self._woken)):
            self._guarded(self._settle, self._woken.popleft())

    def _settle(self, dispatcher: Any) -> None:
        settle = getattr(dispatcher, "settle", None)
        if settle is not None:
            settle()
        self.ask(dispatcher)

    def _guarded(self, deal_with: Callable[[Any], None], dispatcher: Any) -> None:
        """As `wasyncore.readwrite`: what fails costs its own connection, not the loop and all others."""
        try:
            deal_with(dispatcher)
        except Exception:
            dispatcher.handle_error()
