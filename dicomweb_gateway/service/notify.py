"""What systemd is told: sd_notify(3) on our own, one datagram a message."""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

_NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Speaks to the service manager that started this process; silent where there is none."""

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = _address(address)
        self.watchdog_seconds = watchdog_seconds
        """How often `alive` must be said at least; None where nobody listens for it."""

    @classmethod
    def of_environment(cls, environment: MutableMapping[str, str] | None = None) -> "Notifier":
        """As the environment says; its variables are taken out, since they are not for our children."""
        environment = os.environ if environment is None else environment
        address, microseconds, pid = (environment.pop(name, None) for name in _NAMES)
        is_ours = pid is None or pid == str(os.getpid())
        has_watchdog = microseconds is not None and microseconds.isdecimal() and is_ours
        return cls(address, int(microseconds or 0) / 1e6 if has_watchdog else None)

    def ready(self, status: str) -> None:
        """Start or reload is through."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1", "STATUS=finishing the answers that are under way")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """The service is well."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            sender.sendto(text.encode(), self._address)


def _address(address: str | None) -> str | None:
    """An abstract address begins with @ there and with a zero byte for the kernel."""
    if not address or address[0] not in "/@":
        return None
    return "\0" + address[1:] if address[0] == "@" else address
