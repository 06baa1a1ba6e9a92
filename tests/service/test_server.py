"""One web process on a real socket: keep-alive, streaming, disconnects, draining (dicomweb.md H-9, M-8)."""

import http.client
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.routes.archive import CT, OTHER, STUDY, path_of

SERVER = """
import socket, sys, time
from pathlib import Path
from dicomweb_gateway.service.server import serve
from tests.routes.archive import CT, build

house = build(Path(sys.argv[2]))
if len(sys.argv) > 3:
    take = house.frames.get
    def slow(wanted):
        Path(sys.argv[3]).touch()
        time.sleep(0.5)
        return take(wanted)
    house.frames.get = slow
with socket.socket(fileno=int(sys.argv[1])) as door:
    serve(house.services, door, 4)
"""


class Server:
    def __init__(self, folder, *more):
        self._connections = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        (folder / "archive").mkdir()
        command = [sys.executable, "-c", SERVER, str(self._door.fileno()), str(folder / "archive"), *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, pass_fds=[self._door.fileno()], env=environment)

    def connect(self):
        self._connections.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        return self._connections[-1]

    def close(self):
        for connection in self._connections:
            connection.close()
        self.process.kill()
        self.process.wait()
        self._door.close()


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*more):
        running.append(Server(tmp_path, *more))
        return running[-1]

    yield begin
    for server in running:
        server.close()


def ask(connection, path, method="GET", **headers):
    connection.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_one_connection_serves_good_and_bad_requests_in_turn(start):
    connection = start().connect()
    local = None
    for path, method, status in [
        ("/aetitle/studies", "GET", 200),
        ("/aetitle/studies/1..2/metadata", "GET", 400),
        (f"{path_of(CT, 1)}/frames/1", "GET", 200),
        (f"{path_of(CT, 1)}/frames/9", "GET", 404),
        (f"{path_of(CT, 1)}/frames/1", "HEAD", 200),
        ("/aetitle/studies", "DELETE", 405),
        (f"{path_of(CT, 1)}/frames/1", "OPTIONS", 200),
        ("/health", "GET", 200),
    ]:
        assert ask(connection, path, method)[0] == status
        assert connection.sock is not None
        local = local or connection.sock.getsockname()
        assert connection.sock.getsockname() == local


@pytest.mark.parametrize(("path", "count"), [(f"/aetitle/studies/{STUDY}", 4), (path_of(CT), 3)])
def test_a_study_streams_to_its_end(start, path, count):
    status, headers, body = ask(start().connect(), path, Accept='multipart/related; type="application/dicom"')
    assert status == 200
    boundary = headers["Content-Type"].rpartition("=")[2].encode()
    assert body.count(b"--" + boundary + b"\r\n") == count
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")


def test_metadata_of_a_study_stream_to_their_end(start):
    status, headers, body = ask(
        start().connect(), f"/aetitle/studies/{OTHER}/metadata", Accept_Encoding="gzip"
    )
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert body


def test_a_client_that_leaves_early_harms_nobody(start):
    server = start()
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", server.port)) as rude:
            rude.sendall(f"GET {path_of(CT)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            rude.recv(100)
    assert ask(server.connect(), "/health")[0] == 200


def test_sigterm_finishes_what_is_under_way(start, tmp_path):
    asked = tmp_path / "asked"
    server = start(str(asked))
    connection = server.connect()
    connection.request("GET", f"{path_of(CT, 1)}/frames/1")
    while not asked.exists():
        assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(answer.read()) == int(answer.headers["Content-Length"])
    assert server.process.wait(20) == 0
