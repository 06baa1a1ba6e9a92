"""The end of a web process: no new connections, running answers finish, connections are closed politely."""

import signal
import time
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 0.5
"""How long a connection may be idle when the service ends."""
_TURN_SECONDS = 0.1
_ARRIVAL_SECONDS = 0.3
"""How long clients may take whose connection was half made when the service ended."""


class Ending:
    """What ends a web process: SIGTERM with the service, SIGUSR2 because a successor has taken over."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.is_asked = False
        self.has_successor = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGUSR2, self._hand_over)

    def _end(self, *_: object) -> None:
        self.is_asked, self.has_successor = True, False
        self._server.watched.interrupt()

    def _hand_over(self, *_: object) -> None:
        if not self.is_asked:
            self.is_asked = self.has_successor = True
        self._server.watched.interrupt()


def let_in(server: Any, alive: Callable[[], None]) -> None:
    """Accept those who had begun to come: the master turns away who comes later (`Listening.end`)."""
    until = time.monotonic() + _ARRIVAL_SECONDS
    while time.monotonic() < until:
        server.turn(_TURN_SECONDS)
        alive()


def drain(server: Any, ending: Ending, seconds: float, alive: Callable[[], None]) -> None:
    """Have `server` finish what is under way, for at most `seconds`.

    Each answer says `Connection: close`. An idle connection is closed soon when the service ends. With a
    successor nothing hurries, so it stays until its client has asked once more: a client that asks just while
    its connection is closed sees a failure.
    """
    began = time.monotonic()
    server.stop_accepting()
    while server.active_channels and time.monotonic() < began + seconds:
        server.watched.turn(_TURN_SECONDS)
        alive()
        if not ending.has_successor:
            _close_idle(server, time.monotonic() - began)
    for channel in list(server.active_channels.values()):
        # what is cut off here is taken note of too
        channel.cut_off()


def _close_idle(server: Any, drained_for: float) -> None:
    if drained_for < IDLE_SECONDS:
        return
    since = time.time() - IDLE_SECONDS
    for channel in list(server.active_channels.values()):
        if channel.is_idle and channel.last_activity <= since:
            channel.will_close = True
            server.wake(channel)
