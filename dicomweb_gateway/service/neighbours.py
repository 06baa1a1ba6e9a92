"""Web processes that answer for one that is being replaced.

Each accepts from a socket of its own, among which the kernel spreads connections. What it gives to one whose
process has just died would wait until the next one has started, or for as long as that keeps ending.
"""

import socket
import time
from collections.abc import Callable, Sequence

from dicomweb_gateway.service.board import Row

_LOOK_SECONDS = 0.5
_SILENT_SECONDS = 5.0
"""A process that has not been well for this long does not accept either."""


class Neighbours:
    """The other processes' sockets, `doors`, each with the row in which its process says that it is well."""

    def __init__(self, doors: Sequence[tuple[socket.socket, Row]]) -> None:
        self._doors = doors
        self._looked_at = 0.0

    def unattended(self) -> list[socket.socket]:
        """Sockets from which nobody accepts now; looked at twice a second at most, else none."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return []
        self._looked_at = now
        return [door for door, row in self._doors if now - row.beat > _SILENT_SECONDS]

    def close(self, empty: Callable[[socket.socket], None]) -> None:
        """Let go of them, of each once `empty` has taken what waits there."""
        for door, _ in self._doors:
            empty(door)
            door.close()
