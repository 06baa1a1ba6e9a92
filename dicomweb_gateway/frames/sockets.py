"""Unix stream sockets between web processes and fetchers."""

import os
import socket
import struct
from contextlib import suppress

from dicomweb_gateway.errors import SettingsError

BACKLOG = 512
_LONGEST_PATH = 107


def listen(path: str) -> socket.socket:
    """A listening socket at `path`, mode 0600 in a folder of mode 0700; a stale one is replaced.

    SettingsError when the path is longer than an address may be (107 bytes) or cannot be made.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SettingsError(f"the socket path {path} is too long: at most {_LONGEST_PATH} bytes")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(path)
        listening.bind(path)
        os.chmod(path, 0o600)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(f"no socket can be made at {path}: {error.strerror}") from error
    return listening


def connect(path: str) -> socket.socket:
    """A connected socket; OSError while nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def limit_sending(connection: socket.socket, seconds: float) -> None:
    """Let a send fail after `seconds` against a peer that reads no more; receiving still waits for ever."""
    whole, part = divmod(seconds, 1)
    connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(whole), int(part * 1e6))
    )


def send(connection: socket.socket, pieces: list[bytes]) -> None:
    """Send all pieces; OSError when the peer is gone or reads no more."""
    for piece in pieces:
        if piece:
            connection.sendall(piece)


def hang_up(connection: socket.socket) -> None:
    """End both directions, so that a thread that waits in `recv` wakes; the reader closes it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
