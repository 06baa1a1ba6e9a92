"""A service manager for tests: it only listens."""

import os
import socket
import time
from types import TracebackType


class Manager:
    """Keeps what it is told; `address` as NOTIFY_SOCKET has it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.text = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def __enter__(self) -> "Manager":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        if not self.address.startswith("@"):
            os.unlink(self.address)

    def clear(self) -> None:
        self.listen(0.01)
        self.text = ""

    def listen(self, seconds: float) -> None:
        """Take what comes within `seconds`, each message with a line of its own after it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self.text += self._socket.recv(4096).decode() + "\n\n"
            except TimeoutError:
                return

    def until(self, line: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while line not in self.text.splitlines():
            assert time.monotonic() < deadline, self.text
            self.listen(0.1)
