"""nginx with a private configuration in a folder of its own: one worker, sendfile, nothing logged."""

import os
import pwd
import socket
import subprocess
import time
from pathlib import Path

from tests.benchmarks.gateway import free_port
from tests.benchmarks.processes import Family
from tests.databases import find_program

_CONFIGURATION = """
daemon off;
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    keepalive_timeout 600s;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
    }}
}}
"""


def program() -> str | None:
    """Where nginx lies, None when it is not installed."""
    return find_program("nginx")


class Nginx:
    """Serves what `put` gave it, in `folder`, which must be new."""

    def __init__(self, folder: Path) -> None:
        found = program()
        assert found is not None
        (folder / "files").mkdir(parents=True)
        self._files = folder / "files"
        self.port = free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=self.port, user=_user()))
        self.process = subprocess.Popen(
            [found, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
        )
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


def _user() -> str:
    """The user of the workers: root's own, as nobody may not read private folders."""
    return f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
