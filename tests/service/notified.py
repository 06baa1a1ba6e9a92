"""A service manager for tests: it only listens."""

import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType


class Manager:
    """Keeps what it is told; `address` as NOTIFY_SOCKET has it.

    A thread of its own listens: a socket keeps ten messages, and what comes on top is lost.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.text = ""
        self._lock = threading.Lock()
        self._ended = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0.02)
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> "Manager":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()
        if not self.address.startswith("@"):
            os.unlink(self.address)

    def clear(self) -> None:
        with self._lock:
            self.text = ""

    def until(self, line: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while line not in self.text.splitlines():
            assert time.monotonic() < deadline, self.text
            time.sleep(0.01)

    def _listen(self) -> None:
        """Each message is followed by an empty line."""
        while not self._ended:
            with suppress(TimeoutError):
                told = self._socket.recv(4096).decode()
                with self._lock:
                    self.text += f"{told}\n\n"
