"""Private redis-server and memcached processes for tests, and sockets that only pretend."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

KINDS = ("redis", "memcached")
PROGRAMS = {"redis": "redis-server", "memcached": "memcached"}


class CacheServer:
    """A server of `kind` on a port of its own, which it keeps over restarts; `options` are further words."""

    def __init__(self, kind: str, options: tuple[str, ...] = ()) -> None:
        program = shutil.which(PROGRAMS[kind])
        if program is None:
            pytest.skip(f"{PROGRAMS[kind]} is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.kind = kind
        own = {
            "redis": ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            "memcached": ["-p", str(self.port), "-l", "127.0.0.1", "-U", "0"],
        }[kind]
        if kind == "memcached" and os.geteuid() == 0:
            own += ["-u", "root"]
        self._command = [program, *own, *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def settings(self) -> dict[str, str]:
        """The gateway's settings, by their lower-case names."""
        address = f"127.0.0.1:{self.port}"
        return {"redis_url": f"redis://{address}"} if self.kind == "redis" else {"memcached_address": address}

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp"
        )
        until = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < until, f"{self.kind} did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


@contextmanager
def pretending(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that handles each connection with `answer`, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepted: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listening.accept()
                    accepted.append(one)
                    threading.Thread(target=answer, args=(one,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for one in accepted:
                one.close()


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)
