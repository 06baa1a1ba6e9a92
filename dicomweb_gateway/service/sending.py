"""The half of a connection that sends: by sendfile, at once, and never waiting for its reader."""

import logging
import time
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel

from dicomweb_gateway.service.outgoing import Outgoing, OutgoingBytes, OutgoingFile
from dicomweb_gateway.service.task import AHEAD
from dicomweb_gateway.web.files import SegmentFile

_LOG = logging.getLogger(__name__)

_AT_ONCE = 4096
"""Bytes that are not worth sending before what follows them."""


class Pathless:
    """waitress's logger for connections: its messages would name addresses, in which patients' UIDs stand."""

    def info(self, *_: object) -> None:
        """Nothing: that a client has left is no news."""

    def warning(self, *_: object, **__: object) -> None:
        """Say that something was odd."""
        _LOG.warning("an answer was not what its head had said")

    def log(self, level: int, *_: object) -> None:
        """Log what failed in the loop."""
        _LOG.log(level, "a connection failed", exc_info=True)

    def exception(self, *_: object) -> None:
        """Log what failed in a worker."""
        _LOG.exception("an answer failed outside the application")


class SendingChannel(HTTPChannel):
    """What is to go out, and how it goes; workers and the loop send, each while the other does not."""

    server: Any
    socket: Any
    logger: Any = Pathless()
    outbufs: list[Outgoing]  # type: ignore[assignment]

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self.sent_bytes = 0
        """What the network has taken since the connection came."""
        self._given_bytes = 0
        self._blocked = False
        self._filling = False
        super().__init__(server, sock, addr, adj, map=map)
        self.outbufs = []

    @property
    def is_full(self) -> bool:
        """Whether enough waits for the reader."""
        return bool(self.total_outbufs_len >= AHEAD)

    def write_soon(self, data: Any) -> int:
        """Have `data` sent, as far as the socket takes it by this worker; never waits for the reader."""
        if not self.connected or self.will_close:
            raise ClientDisconnected
        if not data:
            return 0
        outgoing = _outgoing(data)
        length = len(outgoing)
        with self.outbuf_lock:
            if not self.connected:
                raise ClientDisconnected
            self.outbufs.append(outgoing)
            self.total_outbufs_len += length
            self._given_bytes += length
        if self.total_outbufs_len >= _AT_ONCE:
            self.send_now()
        return length

    def send_now(self) -> None:
        """Send what the socket takes, opening what must be opened; in a worker thread."""
        while True:
            with self.outbuf_lock:
                if not self.connected or self.will_close or self._filling:
                    return
                was_blocked = self._blocked
                self._send_open(may_fill=True)
                if not self._filling:
                    break
            self.fill()
        if self._blocked and not was_blocked:
            self.server.wake(self)

    def fill(self) -> None:
        """Open what is to be sent next; in a worker thread, one at a time."""
        try:
            for outgoing in self.outbufs[:1]:
                outgoing.fill()
        except Exception as error:
            self._cut(error)
        finally:
            self._filling = False

    def _send_open(self, may_fill: bool = False) -> None:
        """Send while the socket takes and files are open; the lock is held, and connected."""
        sent = 0
        self._blocked = False
        try:
            while self.outbufs:
                outgoing = self.outbufs[0]
                if not len(outgoing):
                    self.outbufs.pop(0).close()
                elif outgoing.is_starved:
                    self._filling = True
                    if not may_fill:
                        self.server.task_dispatcher.add_step(_Fill(self))
                    break
                else:
                    # what follows may be no more than a mark
                    count = outgoing.send(self.socket, self.total_outbufs_len > len(outgoing))
                    self.total_outbufs_len -= count
                    self.sent_bytes += count
                    sent += count
        except BlockingIOError:
            self._blocked = True
        except Exception as error:
            # whatever it is: it must not reach waitress, which would end what is counted here
            self._cut(error)
        if sent:
            self.last_activity = time.time()

    def _cut(self, error: Exception) -> None:
        """Break the answer off: the client sees that it is not whole."""
        if not isinstance(error, OSError):
            _LOG.warning("an answer was cut off: %s: %s", type(error).__name__, error)
        self.will_close = True

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Nobody waits here; `service` does not begin a request while much waits for the reader."""


class _Fill:
    """A worker's errand for a connection."""

    def __init__(self, channel: SendingChannel) -> None:
        self._channel = channel

    def service(self) -> None:
        """Open files, then send them."""
        self._channel.fill()
        self._channel.send_now()
        self._channel.server.wake(self._channel)


def _outgoing(data: Any) -> Outgoing:
    if not isinstance(data, ReadOnlyFileBasedBuffer):
        return OutgoingBytes(data)
    if isinstance(data.file, SegmentFile) and len(data.file) == len(data):
        return data.file
    return OutgoingFile(data.file, len(data))
