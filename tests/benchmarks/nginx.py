"""nginx as a yardstick: it sends files, and logs nothing."""

import socket
import time
from pathlib import Path

from tests.benchmarks.gateway import free_port
from tests.benchmarks.processes import Family
from tests.nginx import program, start

_INSIDE = """
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    keepalive_timeout 600s;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
    }}
"""


class Nginx:
    """Serves what `put` gave it, in `folder`, which must be new."""

    def __init__(self, folder: Path) -> None:
        found = program()
        assert found is not None
        (folder / "files").mkdir(parents=True)
        self._files = folder / "files"
        self.port = free_port()
        inside = _INSIDE.format(folder=folder, port=self.port)
        self.process = start(found, folder, inside, connections=2048)
        until = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit((folder / "error.log").read_text())
            time.sleep(0.05)

    def put(self, name: str, body: bytes) -> str:
        """The path under which `body` is served."""
        (self._files / name).write_bytes(body)
        return f"/{name}"

    def family(self) -> Family:
        """Master and worker."""
        return Family(self.process.pid)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)
