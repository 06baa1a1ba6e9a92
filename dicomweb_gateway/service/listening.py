"""The sockets that web processes accept from: made by the master, or handed over by systemd."""

import ctypes
import os
import socket
import struct
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.settings import Settings

_BACKLOG = 1024
_FIRST = 3
"""The first descriptor that is handed over, sd_listen_fds(3)."""
_SO_ATTACH_FILTER = 26
_NO_NEWCOMERS = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        # the flags of the TCP header; of SYN and ACK; SYN alone is dropped, all else passes (socket(7), bpf)
        (0x30, 0, 0, 13),
        (0x54, 0, 0, 0x12),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
    )
)


@dataclass(frozen=True, slots=True)
class Listening:
    """`sockets` on `host` and `port`, one per web process where there are as many; `processes` share them.

    `outlive`: somebody else holds them too, who goes on when this service ends.
    """

    sockets: tuple[socket.socket, ...]
    processes: int
    host: str
    port: int
    outlive: bool = False

    @classmethod
    def on(cls, sockets: Sequence[socket.socket], processes: int, outlive: bool = False) -> "Listening":
        """`sockets`, which are open still."""
        host, port = sockets[0].getsockname()[:2]
        return cls(tuple(sockets), processes, host, port, outlive)

    @property
    def address(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def door(self, number: int) -> socket.socket:
        """Where web process `number` (from 0) accepts."""
        return self.sockets[number % len(self.sockets)]

    def end(self) -> None:
        """Let nobody new come, as the service ends, and give up this process's hold.

        What comes between the last accept and the close of a socket would be reset. So the first packet of
        newcomers is dropped, while those who are through the door, or in it, are answered; a newcomer's next
        try is refused, or meets whoever listens then.
        """
        for one in self.sockets:
            if not self.outlive:
                turn_newcomers_away(one)
            one.close()


def turn_newcomers_away(listening: socket.socket) -> None:
    """Drop the first packet of new connections, for good and for all who share the socket."""
    program = ctypes.create_string_buffer(_NO_NEWCOMERS, len(_NO_NEWCOMERS))
    steps = len(_NO_NEWCOMERS) // 8
    # where it cannot be had, some newcomers are reset
    with suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", steps, ctypes.addressof(program))
        )


def listen(settings: Settings) -> Listening:
    """What systemd has handed over, else new sockets as the settings say; SettingsError."""
    handed = handed_over()
    if handed:
        return _adopt(settings, handed)
    count = settings.web_process_count
    return Listening.on(listen_tcp(settings.listen_host, settings.port, count), count)


def listen_tcp(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` sockets on one address with SO_REUSEPORT; port 0 takes a free one. SettingsError if taken.

    One socket each, because processes on a shared one leave all keep-alive connections to the first.
    """
    sockets: list[socket.socket] = []
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        _refuse_taken(family, kind, protocol, address)
        for _ in range(count):
            made = socket.socket(family, kind, protocol)
            sockets.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((address[0], sockets[0].getsockname()[1] or port, *address[2:]))
            made.listen(_BACKLOG)
    except OSError as error:
        for made in sockets:
            made.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return sockets


def handed_over(environment: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The listening sockets that the environment tells of (LISTEN_PID, LISTEN_FDS); SettingsError.

    The variables are taken out, since the sockets are not for our children.
    """
    environment = os.environ if environment is None else environment
    pid, count, _ = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_handed(descriptor) for descriptor in range(_FIRST, _FIRST + int(count))]


def _handed(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        one = socket.socket(fileno=descriptor)
        listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsError(f"the socket unit passed descriptor {descriptor}: {error.strerror}") from error
    if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM or not listens:
        raise SettingsError("the socket unit must have ListenStream= with TCP addresses only")
    return one


def _adopt(settings: Settings, handed: Sequence[socket.socket]) -> Listening:
    if len({one.getsockname()[:2] for one in handed}) > 1:
        raise SettingsError("the socket unit must name one address, once for each web process")
    if settings.web_processes is not None and settings.web_processes < len(handed):
        raise SettingsError(
            f"WEB_PROCESSES is {settings.web_processes}, but the socket unit has {len(handed)} sockets"
        )
    host = handed[0].getsockname()[0]
    if not ip_address(host.partition("%")[0]).is_loopback and not settings.is_exposed:
        raise SettingsError(
            f"the socket unit listens on {host}, which others can reach: set AUTH_MODE, or HOST={host}"
        )
    # a socket that nobody accepts from would keep its connections waiting for ever
    count = settings.web_processes or (len(handed) if len(handed) > 1 else settings.web_process_count)
    return Listening.on(handed, count, outlive=True)


def _refuse_taken(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> None:
    """SO_REUSEPORT would share a port with another gateway of the same user: better to say so."""
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
