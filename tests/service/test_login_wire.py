"""Logins on a real socket: keep-alive after refusals, and headers that try to pass for others'."""

import os
import socket
import subprocess
import sys

import pytest

from dicomweb_gateway.access.tokens import add_token
from tests.conftest import ROOT
from tests.routes.archive import CT, path_of

SERVER = """
import socket, sys
from dataclasses import replace
from pathlib import Path
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.tokens import StaticTokens
from dicomweb_gateway.service.logs import set_up_logging
from dicomweb_gateway.service.server import serve
from tests.routes.archive import build

set_up_logging("debug", "json")
folder = Path(sys.argv[2])
house = build(folder, host_rule_on=False, proxy_headers=("X-Forwarded-User", "X-Forwarded-Groups"))
login = Authenticator(tokens=StaticTokens(folder / "t"), proxy=ProxyLogin(("127.0.0.1",)))
with socket.socket(fileno=int(sys.argv[1])) as door:
    serve(replace(house.services, authenticator=login), door, 4)
"""

FRAME = f"{path_of(CT, 1)}/frames/1"


class Wire:
    """A connection to a server with logins by token and by a proxy at 127.0.0.1."""

    def __init__(self, folder, server=SERVER):
        self.token = add_token(folder / "t", "ct", (), (), None)
        self.log = folder / "log"
        door = socket.create_server(("127.0.0.1", 0))
        port = door.getsockname()[1]
        command = [sys.executable, "-c", server, str(door.fileno()), str(folder)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                pass_fds=[door.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=log,
            )
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.answers = self.connection.makefile("rb")
        door.close()

    def ask(self, *lines, line="GET /aetitle/studies HTTP/1.1", body=b""):
        """The status of the next answer on the connection, and its header lines."""
        head = "\r\n".join([line, "Host: gw", *lines, "", ""])
        self.connection.sendall(head.encode("latin-1") + body)
        status = int(self.answers.readline().split()[1])
        headers = {}
        while (told := self.answers.readline().strip()) != b"":
            name, _, value = told.partition(b": ")
            headers[name.lower().decode()] = value.decode()
        if not line.startswith("HEAD") and status not in (204, 304):
            self.answers.read(int(headers["content-length"]))
        return status, headers

    def close(self):
        self.answers.close()
        self.connection.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    made = Wire(tmp_path_factory.mktemp("wire"))
    yield made
    made.close()


def test_refusals_keep_the_connection(wire):
    for line, status in [
        ("GET /aetitle/studies HTTP/1.1", 401),
        ("HEAD /aetitle/studies HTTP/1.1", 401),
        ("DELETE /aetitle/studies HTTP/1.1", 401),
        ("BREW /aetitle/studies HTTP/1.1", 401),
        (f"GET {FRAME} HTTP/1.1", 401),
        ("GET /health HTTP/1.1", 200),
        ("OPTIONS /aetitle/studies HTTP/1.1", 200),
    ]:
        found, headers = wire.ask(line=line)
        assert found == status, line
        assert ("www-authenticate" in headers) is (status == 401)
        assert headers.get("connection") != "close"
    body = b'{"imageFrameId": "x"}'
    length = f"Content-Length: {len(body)}"
    found, _ = wire.ask(length, line="POST /datastore/a/imageSet/b/getImageFrame HTTP/1.1", body=body)
    assert found == 401
    assert wire.ask(f"token: {wire.token}")[0] == 200


def test_one_connection_carries_now_one_caller_and_now_another(wire):
    for _ in range(2):
        assert wire.ask(f"Authorization: Bearer {wire.token}", line=f"GET {FRAME} HTTP/1.1")[0] == 200
        assert wire.ask(line=f"GET {FRAME} HTTP/1.1")[0] == 401
        assert wire.ask("X-Forwarded-User: anna", line=f"GET {FRAME} HTTP/1.1")[0] == 200
        assert wire.ask("X-Forwarded-User: ", line=f"GET {FRAME} HTTP/1.1")[0] == 401


SMUGGLED = [
    (["X_Forwarded_User: root"], 401),
    (["X_Forwarded-User: root"], 401),
    (["X-Forwarded-User: anna", "X_Forwarded_User: root"], 200),
    (["X-Forwarded-User: root", "X-Forwarded-User: anna"], 401),
    (["X-Forwarded-User: root", "x-forwarded-user: root"], 401),
    (["X-Forwarded-User: anna", "X-Forwarded-Groups: admins", "X-Forwarded-Groups: readers"], 401),
    (["X-Forwarded-User: root, anna"], 401),
    (["X-Forwarded-User: J\xf6rg"], 401),
    (["token: TOKEN", "token: TOKEN"], 400),
    (["token: TOKEN", "Token: other"], 400),
    (["to_ken: TOKEN"], 401),
    (["Authorization: Bearer TOKEN", "Authorization: Bearer TOKEN"], 400),
    (["Authorization: Bearer TOKEN", "token: other"], 400),
    (["Authorization: Bearer TOKEN", "token: TOKEN"], 200),
    (["Authorization: Bearer TOKEN", "X-Forwarded-User: root"], 200),
    (["Authorization: bearer\tTOKEN"], 401),
    (["Authorization: Bearer  TOKEN  "], 200),
    (["token: " + "a" * 20_000], 401),
]


@pytest.mark.parametrize(("lines", "status"), SMUGGLED)
def test_headers_that_try_to_pass_for_others(wire, lines, status):
    given = [line.replace("TOKEN", wire.token) for line in lines]
    # twice: the second time the lines are known and not parsed again
    for _ in range(2):
        assert wire.ask(*given)[0] == status
        assert wire.ask(*given, line=f"GET {FRAME} HTTP/1.1")[0] == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("token=TOKEN", 200),
        ("limit=1&token=TOKEN", 200),
        ("%74%6Fken=TOKEN", 200),
        ("token=TOKEN&token=TOKEN", 200),
        ("token=TOKEN&token=other", 400),
        ("token=TOKEN%0d%0aX-Forwarded-User:%20root", 401),
        ("token=%00", 401),
        ("token=", 401),
        ("TOKEN=TOKEN", 401),
    ],
)
def test_tokens_in_the_query(wire, query, status):
    asked = query.replace("=TOKEN", f"={wire.token}")
    assert wire.ask(line=f"GET /aetitle/studies?{asked} HTTP/1.1")[0] == status
    assert wire.ask(line=f"GET {FRAME}?{asked} HTTP/1.1")[0] == status


def test_no_log_line_holds_a_token_or_what_was_asked(wire):
    wire.ask(line=f"GET /aetitle/studies?PatientName=Secret&token={wire.token} HTTP/1.1")
    log = wire.log.read_text()
    assert "GET /aetitle/studies 200" in log
    assert wire.token not in log
    assert wire.token.removeprefix("dwg_") not in log
    assert "Secret" not in log
    assert "token=" not in log
