"""What a connection may send: nothing that servers read differently, not too much, not too slowly."""

import json
import time
from contextlib import suppress

import pytest

from dicomweb_gateway.access.client_limits import ClientLimits, ClientRates
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.service import pace
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.web.refusals import Refusals
from dicomweb_gateway.web.services import WebConfig

from .test_channel import Running, until

CONFIG = WebConfig(("/aetitle",), None, 80, b"k", cors_origins=("https://ohif.example.org",))
LIMITS = ServerLimits(header_bytes=8192, header_lines=20, url_bytes=2000, body_bytes=1000)
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"


class Asked:
    """The application: says which paths it was asked for, with the body that came."""

    def __init__(self):
        self.paths = []

    def app(self, environ, start_response):
        body = environ["wsgi.input"].read()
        self.paths.append(environ["PATH_INFO"])
        answer = json.dumps([environ["PATH_INFO"], len(body), environ["REMOTE_ADDR"]]).encode()
        start_response("200 OK", [("Content-Type", "a/b"), ("Content-Length", str(len(answer)))])
        return [answer]


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def start(asked):
    running = []

    def begin(limits=LIMITS, **more):
        running.append(Running(asked, limits, refusals=Refusals(CONFIG), **more))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def all_of(client):
    data = b""
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 16):
            data += piece
    return data


REFUSED = [
    ("two lengths", 400, GET + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("two equal lengths", 400, GET + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    ("a list of lengths", 400, GET + b"Content-Length: 3, 3\r\n\r\nabc"),
    ("a signed length", 400, GET + b"Content-Length: +3\r\n\r\nabc"),
    ("a length that is none", 400, GET + b"Content-Length: 0x3\r\n\r\nabc"),
    ("a length of unicode digits", 400, GET + "Content-Length: ٣\r\n\r\nabc".encode()),
    ("a length of thousands of digits", 413, GET + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    ("length and coding", 400, GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding and length", 400, GET + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    ("a coding twice", 400, GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("two codings", 400, GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    ("an unknown coding", 501, GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("a coding with a control character", 400, GET + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("a coding in HTTP/1.0", 400, b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a length with an underscore", 400, GET + b"Content_Length: 3\r\n\r\nabc"),
    ("a coding with an underscore", 400, GET + b"Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a space before the colon", 400, GET + b"Content-Length : 3\r\n\r\nabc"),
    ("a folded line", 400, GET + b"X-A: 1\r\n Content-Length: 3\r\n\r\nabc"),
    ("a folded first line", 400, b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    ("bare line ends", 400, b"GET / HTTP/1.1\nHost: x\n\n"),
    ("a bare line end within", 400, GET + b"X-A: 1\nContent-Length: 3\r\n\r\nabc"),
    ("a bare CR", 400, GET + b"X-A: 1\rContent-Length: 3\r\n\r\nabc"),
    ("NUL in a value", 400, GET + b"X-A: a\x00b\r\n\r\n"),
    ("NUL in a name", 400, GET + b"X\x00A: b\r\n\r\n"),
    ("NUL in the address", 400, b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a control character in the address", 400, b"GET /a\x0bb HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a space in the address", 400, b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a tab for a space", 400, b"GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("an address that is not ASCII", 400, "GET /a?x=ü HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
    ("no version", 400, b"GET /a\r\nHost: x\r\n\r\n"),
    ("another version", 400, b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n"),
    ("a line without colon", 400, GET + b"nonsense\r\n\r\n"),
    ("two hosts", 400, GET + b"Host: y\r\n\r\n"),
    ("a host with an underscore", 400, b"GET / HTTP/1.1\r\nHost: x\r\nHo_st: y\r\nHOST: z\r\n\r\n"),
    ("a host with a path", 400, b"GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    ("a host with a user", 400, b"GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n"),
    ("an address with another host", 400, b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("an address of another scheme", 400, b"GET ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("an address without a slash", 400, b"GET smuggled HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("an empty coding", 400, GET + b"Transfer-Encoding:\r\n\r\n"),
    ("blank lines without end", 400, b"\r\n" * 40),
    ("a bad chunk size", 400, GET + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ("a chunk that does not end", 400, GET + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n"),
    ("a body that is too large", 413, GET + b"Content-Length: 1001\r\n\r\n"),
    ("chunks that are too large", 413, GET + b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000),
    ("an address that is too long", 414, b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a query that is too long", 414, b"GET /?" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("too many lines", 431, GET + b"X-A: 1\r\n" * 20 + b"\r\n"),
    ("a head that is too large", 431, GET + b"X-A: " + b"a" * 9000 + b"\r\n\r\n"),
    ("a head without end", 431, GET + b"X-A: " + b"a" * 9000),
]


@pytest.mark.parametrize(
    ("status", "sent"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_refused_ends_the_connection(start, asked, status, sent):
    """And what follows on it, which a proxy in front may have taken for a part of it, is not answered."""
    client = start().connect()
    client.sendall(sent + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = all_of(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status) or answer.startswith(b"HTTP/1.0 %d " % status)
    assert answer.count(b"HTTP/1.") == 1
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["status"] == status
    assert b"\nconnection: close" in head.lower()
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"server:" not in head.lower()
    assert asked.paths == []


def test_the_same_after_a_good_request_whose_lines_are_known(start, asked):
    client = start().connect()
    client.sendall(GET + b"\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    client.sendall(GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert all_of(client).startswith(b"HTTP/1.1 400")
    assert asked.paths == ["/a"]


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000,
        GET + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        GET + b"X_Odd_Name: 1\r\n\r\n",
        GET + b"X-A: " + b"a" * (LIMITS.header_bytes - len(GET) - 9) + b"\r\n\r\n",
        b"GET /a HTTP/1.0\r\n\r\n",
        b"\r\n" * 6 + GET + b"\r\n",
        GET + "X-A: ü\r\n\r\n".encode("latin-1"),
    ],
)
def test_what_is_allowed_is_answered(start, asked, sent):
    client = start().connect()
    client.sendall(sent)
    assert b" 200 OK" in client.recv(1000)
    assert asked.paths == ["/a"]


def test_a_page_can_read_why_it_was_refused(start):
    for sent in (
        GET + b"Origin: https://ohif.example.org\r\nX-A: a\x00b\r\n\r\n",
        GET + b"Origin: https://ohif.example.org\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n",
    ):
        client = start().connect()
        client.sendall(sent)
        answer = all_of(client)
        assert b"Access-Control-Allow-Origin: https://ohif.example.org\r\n" in answer
        client = start().connect()
        client.sendall(sent.replace(b"ohif", b"evil"))
        assert b"Access-Control-Allow-Origin" not in all_of(client)


def test_what_cannot_become_a_request_is_refused_at_once(start, asked):
    """A client that speaks TLS to a plain port sends its greeting, and waits."""
    client = start().connect()
    client.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03")
    assert all_of(client).startswith(b"HTTP/1.1 400 ")
    assert asked.paths == []


def dribbled(client):
    """Seconds until the server hangs up on who sends a byte now and then; 20 where it does not."""
    began = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - began < 20:
            client.sendall(b"x")
            client.settimeout(0.2)
            with suppress(TimeoutError):
                if not client.recv(10):
                    break
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", GET])
def test_a_head_that_comes_too_slowly(start, sent):
    """Drop by drop, so that something always moves."""
    client = start(ServerLimits(idle_seconds=60, header_seconds=1)).connect()
    client.sendall(sent)
    assert dribbled(client) < 15


def test_a_body_that_comes_too_slowly(start, monkeypatch):
    monkeypatch.setattr(pace, "SLOW_SECONDS", 1)
    client = start(ServerLimits(idle_seconds=60, header_seconds=2, slowest=100)).connect()
    client.sendall(GET + b"Content-Length: 900\r\n\r\n")
    assert dribbled(client) < 15


def test_connections_of_one_client_are_bounded(start):
    limits = ClientLimits(ClientRates(connections=3), SharedCounts(1).claim(0))
    running = start(clients=limits)
    held = [running.connect() for _ in range(3)]
    for one in held:
        one.sendall(GET + b"\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
    turned_away = all_of(running.connect())
    assert turned_away.startswith(b"HTTP/1.1 429 ")
    assert b"Retry-After: " in turned_away
    held[0].close()
    until(lambda: len(running.server.active_channels) == 2)
    again = running.connect()
    again.sendall(GET + b"\r\n")
    assert again.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_trusted_proxy_may_hold_as_many_as_it_likes(start):
    limits = ClientLimits(ClientRates(connections=1), SharedCounts(1).claim(0))
    running = start(clients=limits, proxies=("127.0.0.1",))
    for _ in range(3):
        one = running.connect()
        one.sendall(GET + b"\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
