"""A small HTTP server that speaks as much HealthImaging as the tests here need, with faults on demand."""

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Reply:
    """`sent` is how much of the body really goes out before the connection is cut, None for all."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    sent: int | None = None


def error(status: int, name: str, **headers: str) -> Reply:
    body = orjson.dumps({"message": "JONES^PATIENT must not reach a message"})
    return Reply(body, status, {"x-amzn-ErrorType": name, "Content-Type": "application/json", **headers})


def json(document: Any) -> Reply:
    return Reply(orjson.dumps(document), headers={"Content-Type": "application/json"})


@dataclass
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Upstream:
    """`frames` answers GetImageFrame; `script` holds replies by frame id or path tail that come first."""

    def __init__(self) -> None:
        self.frames: dict[str, bytes] = {}
        self.delay = 0.0
        self.delays: dict[str, float] = {}
        self.script: dict[str, deque[Reply]] = {}
        self.calls: list[Call] = []
        self.frame_calls: Counter[str] = Counter()
        self.order: list[str] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def then(self, name: str, *replies: Reply) -> None:
        self.script.setdefault(name, deque()).extend(replies)

    def add_frames(self, frames: Iterable[tuple[str, bytes]]) -> None:
        self.frames.update(frames)

    def reply(self, call: Call) -> Reply:
        tail = call.path.partition("?")[0].rsplit("/", 1)[-1]
        name = orjson.loads(call.body)["imageFrameId"] if tail == "getImageFrame" else tail
        with self._lock:
            self.calls.append(call)
            if tail == "getImageFrame":
                self.frame_calls[name] += 1
                self.order.append(name)
            scripted = self.script.get(name)
            if scripted:
                return scripted.popleft() if len(scripted) > 1 else scripted[0]
        if name not in self.frames:
            return error(404, "ResourceNotFoundException")
        return Reply(self.frames[name], delay=self.delays.get(name, self.delay))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are part of the tests."""


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # header and body are two writes: the second would wait 40 ms for the client's delayed ACK
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = upstream.reply(Call(self.command, self.path, dict(self.headers), body))
            time.sleep(reply.delay)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body if reply.sent is None else reply.body[: reply.sent])
            if reply.sent is not None:
                self.wfile.flush()
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler
