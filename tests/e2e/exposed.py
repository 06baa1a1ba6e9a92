"""nginx as deploy/nginx.conf has it, in front of a gateway."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.certificates import write_certificate
from tests.conftest import ROOT
from tests.nginx import program, start

from .house import free_port


class Front:
    """A running nginx; `connect` comes from an address of its own."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.log = folder / "access.log"
        self.certificate = folder / "cert.pem"

    def connect(self, source: str = "127.0.0.5") -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.certificate))
        return HTTPSConnection(
            "localhost", self.port, source_address=(source, 0), context=context, timeout=60
        )

    def get(self, path: str, source: str = "127.0.0.5", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with names in lower case, body."""
        connection = self.connect(source)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=names)
        answer = connection.getresponse()
        found = answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def protocol(self) -> str | None:
        """What a client that knows HTTP/2 is offered."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", self.port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.selected_alpn_protocol()


@contextmanager
def nginx_before(folder: Path, *gateways: str, options: Sequence[str] = ()) -> Iterator[Front]:
    """nginx with the project's configuration, its own port, certificate and folders put in.

    `gateways` are host and port of each; `options` are the marks of lines that are commented out, such as
    "cache", and are to hold.
    """
    found = program()
    if found is None:
        pytest.skip("nginx is not installed")
    folder.mkdir()
    port = free_port()
    write_certificate(folder, "localhost", "127.0.0.1")
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    for stands, here in (
        ("server 127.0.0.1:8080 ", f"server {gateways[0]} "),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("server_name pacs.example.org;", "server_name localhost;"),
        ("/etc/ssl/certs/pacs.example.org.pem", f"{folder}/cert.pem"),
        ("/etc/ssl/private/pacs.example.org.key", f"{folder}/key.pem"),
        ("/var/log/nginx/dicomweb.log", f"{folder}/access.log"),
        ("/var/log/nginx/dicomweb-error.log", f"{folder}/site-error.log"),
        ("/var/cache/nginx/dicomweb", f"{folder}/cache"),
    ):
        assert stands in site
        site = site.replace(stands, here)
    (first,) = (line for line in site.splitlines() if line.strip().startswith(f"server {gateways[0]} "))
    site = site.replace(first, "\n".join(first.replace(gateways[0], one) for one in gateways))
    for option in options:
        assert f"#{option} " in site
        site = site.replace(f"#{option} ", "")
    (folder / "site.conf").write_text(site)
    with start(found, folder, f"    include {folder}/site.conf;") as process:
        try:
            _wait_for(port, process, folder)
            yield Front(port, folder)
        finally:
            process.terminate()
            process.wait(20)
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until, (folder / "error.log").read_text()
        assert process.poll() is None, (folder / "error.log").read_text()
        time.sleep(0.05)
