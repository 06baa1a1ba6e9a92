"""The web processes' own stack with nothing behind it: Flask on our server, one answer that never changes.

Run as a module it reads the number of bytes from its command line and writes its port to standard output.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from tests.benchmarks.processes import Family

ROOT = Path(__file__).parents[2]
RULE = "/datastore/<datastore_id>/imageSet/<image_set_id>/getImageFrame"
_THREADS = 64
_START_SECONDS = 60


class Constant:
    """As many processes and threads as the gateway has here, answering `length` bytes at the TLM address."""

    def __init__(self, length: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.constant", str(length)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        until = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/healthcheck", timeout=20):
                return
            assert time.monotonic() < until, "the constant server did not start"
            time.sleep(0.1)

    def family(self) -> Family:
        """All its processes."""
        return Family(self._process.pid)

    def stop(self) -> None:
        """End them."""
        for pid, _ in list(self.family().members()):
            with suppress(ProcessLookupError):
                os.kill(pid, 15)
        self._process.wait(40)
        assert self._process.stdout is not None
        self._process.stdout.close()


def main(length: int) -> None:
    """Serve until SIGTERM."""
    from dicomweb_gateway.service.listening import listen_tcp

    sockets = listen_tcp("127.0.0.1", 0, min(8, len(os.sched_getaffinity(0))))
    print(sockets[0].getsockname()[1], flush=True)
    children = [pid for one in sockets if (pid := _serve(one, length))]
    for pid in children:
        os.waitpid(pid, 0)


def _serve(listening: socket.socket, length: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    from flask import Flask, Response

    from dicomweb_gateway.service.server import Server
    from dicomweb_gateway.service.server_limits import ServerLimits

    app = Flask("constant", static_folder=None)
    body = os.urandom(length)

    @app.route(RULE, methods=["GET", "POST"])
    def answer(datastore_id: str, image_set_id: str) -> Response:
        return Response(body, content_type="application/octet-stream")

    @app.route("/healthcheck")
    def healthcheck() -> Response:
        return Response("")

    server = Server(app, listening, _THREADS, ServerLimits())
    while True:
        server.turn(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
