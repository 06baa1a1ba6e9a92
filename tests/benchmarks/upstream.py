"""A lean HealthImaging for benchmarks: one epoll loop over prebuilt answers, in a process of its own.

It knows GetImageFrame, GetImageSetMetadata and ListDatastores over plain HTTP and checks no signature. A
frame costs it some 0.15 ms, so that what is measured is the gateway and not the emulator. Latency comes from
timers: any number of answers wait at once. `PUT /_series/{datastore}/{imageSet}` takes a gzipped metadata
document, `PUT /_latency/{ms}` sets the latency, `GET /_calls` tells the GetImageFrame calls and how many
distinct frames they named. Frames lie in memory, a handful of distinct ones under any number of ids.
"""

import heapq
import os
import pickle
import re
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from tests.benchmarks.content import Frame, Series, frame_index

ROOT = Path(__file__).parents[2]
_LENGTH = re.compile(rb"\r\ncontent-length:[ ]*(\d+)", re.IGNORECASE)
_FRAME_ID = re.compile(rb'"imageFrameId"\s*:\s*"([0-9a-f]{32})"')
_ROOM = 1 << 18


class _Connection:
    """One client: what it sent and was not read yet, what it gets and has not taken yet."""

    __slots__ = ("received", "socket", "waiting")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.received = bytearray()
        self.waiting: list[memoryview] = []


class Server:
    """The loop; `frames` are the coded frames that ids name."""

    def __init__(self, frames: list[bytes], latency_ms: float) -> None:
        self.latency = latency_ms / 1000
        self.calls: Counter[bytes] = Counter()
        self._answers = [_answer(frame, "application/octet-stream") for frame in frames]
        self._documents: dict[bytes, tuple[bytes, bytes]] = {}
        self._clients: dict[int, _Connection] = {}
        self._due: list[tuple[float, int, int, _Connection, tuple[bytes, bytes]]] = []
        self._number = 0
        self._poll = select.epoll()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listening.setblocking(False)
        self._poll.register(self._listening, select.EPOLLIN)
        self.port: int = self._listening.getsockname()[1]

    def run(self) -> None:
        """Serve until the process ends."""
        while True:
            pause = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
            for number, _ in self._poll.poll(pause):
                if number == self._listening.fileno():
                    self._accept()
                elif number in self._clients:
                    self._serve(number, self._clients[number])
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, number, client, answer = heapq.heappop(self._due)
                if self._clients.get(number) is client:
                    self._send(number, client, answer)

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except BlockingIOError:
                return
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[connected.fileno()] = _Connection(connected)
            self._poll.register(connected, select.EPOLLIN)

    def _serve(self, number: int, client: _Connection) -> None:
        if client.waiting:
            self._flush(number, client)
        try:
            piece = client.socket.recv(_ROOM)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            del self._clients[number]
            client.socket.close()
            return
        client.received += piece
        self._read(number, client)

    def _read(self, number: int, client: _Connection) -> None:
        while (end := client.received.find(b"\r\n\r\n")) >= 0:
            head = bytes(client.received[:end])
            stated = _LENGTH.search(head)
            size = end + 4 + (int(stated[1]) if stated else 0)
            if len(client.received) < size:
                return
            body = bytes(client.received[end + 4 : size])
            del client.received[:size]
            method, path = head.split(b" ", 2)[:2]
            answer, late = self._answered(method, path, body)
            if late and self.latency:
                self._number += 1
                due = time.monotonic() + self.latency
                heapq.heappush(self._due, (due, self._number, number, client, answer))
            else:
                self._send(number, client, answer)

    def _answered(self, method: bytes, path: bytes, body: bytes) -> tuple[tuple[bytes, bytes], bool]:
        """The answer, and whether it is late."""
        plain = path.partition(b"?")[0]
        if plain.endswith(b"/getImageFrame"):
            named = _FRAME_ID.search(body)
            if named is None or (number := frame_index(named[1].decode())) >= len(self._answers):
                return _json({"message": "no such frame"}, 404), True
            self.calls[named[1]] += 1
            return self._answers[number], True
        if plain.endswith(b"/getImageSetMetadata"):
            found = self._documents.get(plain.split(b"/")[4])
            return found or _json({"message": "no such image set"}, 404), True
        return self._control(method, plain, body), False

    def _control(self, method: bytes, path: bytes, body: bytes) -> tuple[bytes, bytes]:
        parts = path.split(b"/")
        if method == b"PUT" and parts[1] == b"_series":
            self._documents[parts[3]] = _answer(body, "application/json", "Content-Encoding: gzip\r\n")
        elif method == b"PUT" and parts[1] == b"_latency":
            self.latency = float(parts[2]) / 1000
        elif parts[1] == b"_calls":
            return _json({"calls": self.calls.total(), "frames": len(self.calls)})
        elif parts[1] != b"datastore":
            return _json({"message": "not known here"}, 404)
        return _json({"datastoreSummaries": []})

    def _send(self, number: int, client: _Connection, answer: tuple[bytes, bytes]) -> None:
        waiting = bool(client.waiting)
        client.waiting += map(memoryview, answer)
        if not waiting:
            self._flush(number, client)

    def _flush(self, number: int, client: _Connection) -> None:
        try:
            while client.waiting:
                sent = client.socket.sendmsg(client.waiting)
                while client.waiting and sent >= len(client.waiting[0]):
                    sent -= len(client.waiting.pop(0))
                if sent:
                    client.waiting[0] = client.waiting[0][sent:]
            self._poll.modify(number, select.EPOLLIN)
        except BlockingIOError:
            self._poll.modify(number, select.EPOLLIN | select.EPOLLOUT)
        except OSError:
            client.waiting.clear()


def _answer(body: bytes, content_type: str, more: str = "", status: int = 200) -> tuple[bytes, bytes]:
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\nContent-Type: {content_type}\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def _json(value: Any, status: int = 200) -> tuple[bytes, bytes]:
    return _answer(orjson.dumps(value), "application/json", status=status)


class Upstream:
    """The server's process, from outside."""

    def __init__(self, pool: list[Frame], latency_ms: float = 0) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.upstream"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pickle.dump(([frame.payload for frame in pool], latency_ms), self.process.stdin)
        self.process.stdin.close()
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def add(self, series: Series) -> None:
        """Hold this series from now on."""
        self._put(f"_series/{series.datastore_id}/{series.image_set_id}", series.zipped)

    def set_latency(self, milliseconds: float) -> None:
        """How late every frame and document comes from now on."""
        self._put(f"_latency/{milliseconds}", b"")

    def calls(self) -> dict[str, int]:
        """`calls` of GetImageFrame and the distinct `frames` that they named, since the start."""
        with urlopen(f"{self.url}/_calls", timeout=9) as answer:
            found: dict[str, int] = orjson.loads(answer.read())
        return found

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _put(self, path: str, body: bytes) -> None:
        with urlopen(Request(f"{self.url}/{path}", body, method="PUT"), timeout=9) as answer:
            answer.read()


if __name__ == "__main__":
    # the parent holds the other end of stdin and wrote this itself
    server = Server(*pickle.load(sys.stdin.buffer))
    print(server.port, flush=True)
    server.run()
