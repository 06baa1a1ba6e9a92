"""Faults that no WSGI app can make: a waitress task that breaks answers off, or sends them slowly."""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

WIRE_FAULT = "emulator.wire_fault"
"""Key of the WSGI environment under which the app leaves a WireFault for its answer."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PIECES_A_SECOND = 20


@dataclass(frozen=True, slots=True)
class WireFault:
    """What is to become of one answer on its way."""

    ends_at: str | None = None
    """One of PLACES: the connection ends there, half way through headers or body; None: it does not."""
    reset: bool = False
    """Whether it ends with a reset in place of an orderly close."""
    bytes_per_second: float | None = None
    """How fast the body goes out; None: at once."""
    pause: Callable[[float], bool] | None = None
    """Waits so many seconds; False when the fault was switched off meanwhile and all may go out at once."""


class _FaultyTask(WSGITask):
    """Sends an answer as the WireFault in its environment says."""

    def write(self, data: bytes) -> None:
        fault: WireFault | None = (self.environ or {}).get(WIRE_FAULT)
        if fault is None:
            super().write(data)
        elif fault.ends_at is not None:
            self._break_off(fault.ends_at, fault.reset, data)
        else:
            self._trickle(fault, data)

    def _break_off(self, place: str, reset: bool, data: bytes) -> None:
        if self.wrote_header:
            return
        header = self.build_response_header()
        sent = {
            "answer": b"",
            "headers": header[: len(header) // 2],
            "body": header + data[: len(data) // 2],
        }[place]
        # nothing more is written, and waitress need not wonder at the missing bytes
        self.wrote_header = self.close_on_finish = True
        self.content_bytes_written = self.content_length or 0
        if reset and self.channel.socket is not None:
            self.channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.channel.write_soon(sent)

    def _trickle(self, fault: WireFault, data: bytes) -> None:
        speed = fault.bytes_per_second or 0
        size = max(1, int(speed / _PIECES_A_SECOND))
        position = 0
        # the header goes out with the first piece
        while position < len(data):
            super().write(data[position : position + size])
            position += size
            if fault.pause is not None and not fault.pause(size / speed):
                super().write(data[position:])
                return


class FaultyChannel(HTTPChannel):
    """waitress's connection, whose answers may be broken."""

    task_class: Any = _FaultyTask
