"""One answer's account: from where to where it lies in what its connection sends, and who is told its end."""

import logging
import socket
from typing import Any

from dicomweb_gateway.web.endings import AtEnd, Ending

_LOG = logging.getLogger(__name__)


class Account:
    """Positions are bytes that the connection has been given to send since it came.

    `status` is that of the head, 499 while there is none; `head` counts its bytes. `is_made`: the
    application has given all of the answer.
    """

    __slots__ = ("at_end", "head", "is_made", "start", "status", "stop")

    def __init__(self, start: int) -> None:
        self.at_end: list[AtEnd] = []
        self.start = start
        self.stop = start
        self.head = 0
        self.status = 499
        self.is_made = False

    def begin(self, status: str, head: bytes) -> bytes:
        """Note that `head`, the head of an answer with `status`, goes out; gives it back."""
        self.status = int(status[:3])
        self.head = len(head)
        return head

    def settle(self, sent: int) -> None:
        """Tell all who wait, once; `sent` of the connection's bytes have been taken by the network."""
        waiting, self.at_end = self.at_end, []
        if not waiting:
            return
        body = max(0, min(sent, self.stop) - self.start - self.head)
        # of what has not left this machine at all the client knows no status
        status = self.status if sent > self.start else 499
        ending = Ending(status, body, self.is_made and sent >= self.stop)
        for tell in waiting:
            try:
                tell(ending)
            except Exception:
                _LOG.exception("the end of an answer was not taken note of")


class Mark:
    """The end of an answer in the line of what waits to be sent; an `Outgoing` without bytes."""

    is_starved = False

    def __init__(self, account: Account, channel: Any) -> None:
        self._account = account
        self._channel = channel

    def __len__(self) -> int:
        return 0

    def fill(self) -> None:
        """Nothing is missing."""

    def send(self, sock: socket.socket, more: bool) -> int:
        """Nothing to send."""
        return 0

    def close(self) -> None:
        """All before it has been sent, or never will be."""
        self._account.settle(self._channel.sent_bytes)
