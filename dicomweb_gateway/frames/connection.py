"""The fetcher's side of one connection: reads requests in a thread, sends answers from any thread."""

import threading
from collections.abc import Callable
from socket import socket

from dicomweb_gateway.frames import sockets
from dicomweb_gateway.frames.protocol import (
    Answer,
    MessageReader,
    ProtocolError,
    Request,
    encode_answer,
    parse_request,
)

_RECEIVE = 1 << 16
_SEND_SECONDS = 10.0


class Connection:
    """One asker; `on_request` is called for each request, `on_end` once when it has hung up."""

    def __init__(
        self,
        connection: socket,
        on_request: Callable[["Connection", Request], None],
        on_end: Callable[["Connection"], object],
    ) -> None:
        self._socket = connection
        self._on_request = on_request
        self._on_end = on_end
        self._sending = threading.Lock()

    def start(self, hello: Answer) -> None:
        """Greet, then read in a thread of its own until the other side hangs up or talks nonsense."""
        sockets.limit_sending(self._socket, _SEND_SECONDS)
        self.answer(hello)
        threading.Thread(target=self._read, name="asker", daemon=True).start()

    def answer(self, answer: Answer) -> None:
        """Send an answer; an asker that is gone, or reads no more, is hung up on."""
        try:
            with self._sending:
                sockets.send(self._socket, encode_answer(answer))
        except OSError:
            self.hang_up()

    def hang_up(self) -> None:
        """End the connection; the reading thread closes it."""
        sockets.hang_up(self._socket)

    def _read(self) -> None:
        reader = MessageReader()
        try:
            while data := self._socket.recv(_RECEIVE):
                for header, _ in reader.feed(data):
                    self._on_request(self, parse_request(header))
        except (OSError, ProtocolError):
            self.hang_up()
        finally:
            self._on_end(self)
            self._socket.close()
