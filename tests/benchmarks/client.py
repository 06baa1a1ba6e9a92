"""A lean HTTP client: any number of keep-alive connections in one epoll loop, in a process of its own.

A job has lanes; a lane has connections that take the paths of its list in turn, each connection as soon as it
is free, as a viewer does. Bodies are counted and thrown away. Run as a module it reads the port, the headers
and the lanes as JSON from standard input and writes what it measured to standard output.
"""

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_ROOM = 1 << 19
_LENGTH = re.compile(rb"\r\ncontent-length:[ ]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ ]*chunked", re.IGNORECASE)
_SECONDS = 120.0


@dataclass(frozen=True)
class Lane:
    """`paths` asked in this order over so many connections; with `bodies`, one for each, by POST."""

    connections: int
    paths: list[str]
    bodies: list[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """Seconds in all, CPU seconds of the client, bytes of bodies; seconds of each request, and to its head.

    `failed` counts answers that were no 2xx or did not come whole.
    """

    seconds: float
    cpu: float
    size: int
    latencies: list[float]
    first_bytes: list[float]
    failed: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


def ask(port: int, lanes: list[Lane], headers: dict[str, str]) -> Outcome:
    """Carry the job out in a new process; AssertionError when an answer failed."""
    job = {
        "port": port,
        "headers": headers,
        "lanes": [[one.connections, one.paths, one.bodies] for one in lanes],
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.client"],
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    outcome = Outcome(**json.loads(done.stdout))
    assert outcome.failed == 0, f"{outcome.failed} of {sum(len(lane.paths) for lane in lanes)} failed"
    return outcome


class _Exchange:
    """One connection and the answer that it is reading."""

    def __init__(self, job: "_Job", todo: deque[bytes]) -> None:
        self._job = job
        self._todo = todo
        self.socket: socket.socket | None = None
        self._began = 0.0
        self._head = b""
        self._left: int | None = None
        self._chunked = False

    def next(self) -> bool:
        """Ask the next path; False when the lane is through."""
        if not self._todo:
            self.close()
            return False
        request = self._todo.popleft()
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self._job.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._job.register(self)
        self._head, self._left, self._chunked = b"", None, False
        self._began = time.perf_counter()
        self.socket.sendall(request)
        return True

    def read(self, room: memoryview) -> bool:
        """Take what has come; False when this connection has nothing more to do."""
        assert self.socket is not None
        count = self.socket.recv_into(room)
        if count == 0:
            self._job.failed += 1
            self.close()
            return self.next()
        if self._left is None:
            count = self._read_head(bytes(room[:count]))
            if self._left is None:
                return True
        elif self._chunked:
            self._head = (self._head + bytes(room[:count]))[-7:]
            self._left = 0 if self._head.endswith(b"\r\n0\r\n\r\n") else 1
        else:
            self._left -= count
        self._job.size += count
        if self._left > 0:
            return True
        self._job.latencies.append(time.perf_counter() - self._began)
        return self.next()

    def _read_head(self, piece: bytes) -> int:
        """Bytes of body that came behind the head."""
        self._head += piece
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head, rest = self._head[:end], self._head[end + 4 :]
        self._job.first_bytes.append(time.perf_counter() - self._began)
        if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
            self._job.failed += 1
        self._chunked = _CHUNKED.search(head) is not None
        if self._chunked:
            self._head = rest[-7:]
            self._left = 0 if rest.endswith(b"0\r\n\r\n") else 1
        else:
            stated = _LENGTH.search(head)
            self._left = (int(stated[1]) if stated else 0) - len(rest)
        return len(rest)

    def close(self) -> None:
        if self.socket is not None:
            self._job.unregister(self)
            self.socket.close()
            self.socket = None


def _request(port: int, path: str, head: str, body: str | None) -> bytes:
    line = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}"
    if body is None:
        return f"{line}\r\n".encode()
    kind = "Content-Type: application/json\r\n"
    return f"{line}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class _Job:
    def __init__(self, job: dict[str, Any]) -> None:
        self.port: int = job["port"]
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.size = self.failed = 0
        self._poll = select.epoll()
        self._by_number: dict[int, _Exchange] = {}
        head = "".join(f"{name}: {value}\r\n" for name, value in job["headers"].items())
        self._exchanges = []
        for connections, paths, bodies in job["lanes"]:
            todo = deque(
                _request(self.port, path, head, body)
                for path, body in zip(paths, bodies or [None] * len(paths), strict=True)
            )
            self._exchanges += [_Exchange(self, todo) for _ in range(connections)]

    def register(self, exchange: _Exchange) -> None:
        assert exchange.socket is not None
        self._by_number[exchange.socket.fileno()] = exchange
        self._poll.register(exchange.socket, select.EPOLLIN)

    def unregister(self, exchange: _Exchange) -> None:
        assert exchange.socket is not None
        self._poll.unregister(exchange.socket)
        del self._by_number[exchange.socket.fileno()]

    def run(self) -> dict[str, Any]:
        room = memoryview(bytearray(_ROOM))
        cpu, began = time.process_time(), time.perf_counter()
        busy = sum(exchange.next() for exchange in self._exchanges)
        while busy:
            ready = self._poll.poll(_SECONDS)
            if not ready:
                raise SystemExit(f"{busy} connections without an answer for {_SECONDS:g} s")
            for number, _ in ready:
                busy -= not self._by_number[number].read(room)
        return {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "size": self.size,
            "latencies": self.latencies,
            "first_bytes": self.first_bytes,
            "failed": self.failed,
        }


if __name__ == "__main__":
    print(json.dumps(_Job(json.load(sys.stdin)).run()))
