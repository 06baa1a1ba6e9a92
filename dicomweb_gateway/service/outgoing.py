"""What waits on a connection to be sent: bytes, files, and bodies that consist of both."""

import socket
from typing import Any, Protocol

from dicomweb_gateway.web.stretches import send_stretch


class Outgoing(Protocol):
    """A stretch of an answer. Not for several threads at once, except that others may `fill` and `close`."""

    def __len__(self) -> int:
        """Bytes that are still to be sent."""
        ...

    @property
    def is_starved(self) -> bool:
        """Whether nothing can be sent until a worker thread has called `fill`."""
        ...

    def fill(self) -> None:
        """Bring what is to be sent next. May wait for long; raises what fetching raises."""
        ...

    def send(self, sock: socket.socket, more: bool) -> int:
        """Send what the socket takes of what is at hand, the number of bytes; `more` follows at once.

        BlockingIOError when it takes none, another OSError when it is broken, CutShort when the rest is lost.
        """
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class OutgoingBytes:
    """Bytes in memory."""

    is_starved = False

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def __len__(self) -> int:
        return len(self._left)

    def fill(self) -> None:
        """Nothing is missing."""

    def send(self, sock: socket.socket, more: bool) -> int:
        """See Outgoing."""
        # the kernel waits for what follows, and fills its packets
        count = sock.send(self._left, socket.MSG_MORE if more else 0)
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """Free the bytes."""
        self._left = memoryview(b"")


class OutgoingFile:
    """The next `length` bytes of an open file, from its position on; closed with this."""

    is_starved = False

    def __init__(self, file: Any, length: int) -> None:
        self._file = file
        self._left = length
        self._position = file.tell()

    def __len__(self) -> int:
        return self._left

    def fill(self) -> None:
        """Nothing is missing."""

    def send(self, sock: socket.socket, more: bool) -> int:
        """See Outgoing."""
        count = send_stretch(sock, self._file, self._position, self._left)
        self._position += count
        self._left -= count
        return count

    def close(self) -> None:
        """Close the file."""
        self._left = 0
        self._file.close()
