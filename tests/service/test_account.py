"""The end of each answer is told once, with the bytes that the network took, whatever happened to it."""

import socket
import threading
import time

import pytest

from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.web.endings import AT_END, Ending
from dicomweb_gateway.web.refusals import Refusals

from .test_channel import Running, body_with_head, until

PIECE = b"x" * (1 << 18)


class Endings(Refusals):
    """The application, and what is told to it and to the server's own refusals."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.lines = []
        self.gate = threading.Event()
        self.begun = threading.Event()

    def noted(self, peer, method, path, query, headers, status):
        return lambda ending: self.lines.append((path, status, ending.status, ending.is_whole))

    def app(self, environ, start_response):
        path = environ["PATH_INFO"]
        environ[AT_END].append(lambda ending: self.told.append((path, ending)))
        if path == "/wait":
            self.begun.set()
            self.gate.wait(20)
        if path == "/broken":
            raise RuntimeError("no answer")
        length = {
            "/small": 3,
            "/missing": 3,
            "/short": 9,
            "/large": 40 * len(PIECE),
            "/torn": 40 * len(PIECE),
        }.get(path)
        lines = [("Content-Type", "a/b"), *([("Content-Length", str(length))] if length else [])]
        status = "404 Not Found" if path == "/missing" else "200 OK"
        start_response(status, lines)
        return {"/large": self.pieces, "/torn": self.torn}.get(path, lambda: [b"abc"])()

    def pieces(self):
        return (PIECE for _ in range(40))

    def torn(self):
        yield PIECE
        raise RuntimeError("torn")


@pytest.fixture
def house():
    return Endings()


@pytest.fixture
def running(house):
    one = Running(house, ServerLimits(), refusals=house)
    yield one
    house.gate.set()
    one.close()


def end_of(house, count=1):
    until(lambda: len(house.told) + len(house.lines) >= count)
    time.sleep(0.05)
    assert len(house.told) + len(house.lines) == count
    return house.told[-1][1] if house.told else None


def ask(running, path, extra=b"Connection: close\r\n"):
    client = running.connect()
    client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, extra))
    return client


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        (b"/missing", Ending(404, 3, True)),
        (b"/small", Ending(200, 3, True)),
        (b"/large", Ending(200, 40 * len(PIECE), True)),
    ],
)
def test_a_whole_answer(running, house, path, ending):
    assert body_with_head(ask(running, path))
    assert end_of(house) == ending


def test_an_answer_that_breaks_off(running, house):
    body_with_head(ask(running, b"/torn"))
    ending = end_of(house)
    assert (ending.status, ending.is_whole) == (200, False)
    assert ending.sent <= len(PIECE)


def test_an_answer_that_is_shorter_than_its_head_says(running, house):
    body_with_head(ask(running, b"/short"))
    assert end_of(house) == Ending(200, 3, False)


def test_no_answer_at_all_is_what_the_client_got(running, house):
    assert b" 500 " in body_with_head(ask(running, b"/broken"))
    ending = end_of(house)
    assert (ending.status, ending.is_whole) == (500, True)


def test_a_client_that_leaves_in_the_middle(running, house):
    client = ask(running, b"/large")
    client.recv(1000)
    client.close()
    ending = end_of(house)
    assert ending.status == 200
    assert not ending.is_whole
    assert ending.sent < 40 * len(PIECE)


def test_a_client_that_leaves_before_the_answer(running, house):
    client = ask(running, b"/wait")
    assert house.begun.wait(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    until(lambda: not running.server.active_channels)
    house.gate.set()
    assert end_of(house) == Ending(499, 0, False)


def test_many_on_one_connection_are_told_apart(running, house):
    client = running.connect()
    for _ in range(50):
        client.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while not data.endswith(b"abc"):
            data += client.recv(1000)
    end_of(house, 50)
    assert house.told == [("/small", Ending(200, 3, True))] * 50


def test_two_in_one_packet(running, house):
    client = running.connect()
    client.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    end_of(house, 2)
    assert house.told == [("/small", Ending(200, 3, True))] * 2


def test_requests_that_no_application_sees_are_noted(running, house):
    client = running.connect()
    client.sendall(b"GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
    body_with_head(client)
    end_of(house)
    assert house.lines == [("/a", 400, 400, True)]


def test_who_has_left_before_being_begun_is_noted(running, house):
    held = [ask(running, b"/wait") for _ in range(4)]
    until(lambda: sum(len(one.requests) for one in running.server.active_channels.values()) == 4)
    late = ask(running, b"/small")
    until(lambda: sum(len(one.requests) for one in running.server.active_channels.values()) == 5)
    late.close()
    until(lambda: len(running.server.active_channels) == 4)
    house.gate.set()
    for one in held:
        body_with_head(one)
    until(lambda: len(house.told) + len(house.lines) == 5)
    assert house.lines == [("/small", 499, 499, False)]


def test_the_body_of_what_is_refused_is_no_request(running, house):
    held = [ask(running, b"/wait") for _ in range(4)]
    until(lambda: sum(len(one.requests) for one in running.server.active_channels.values()) == 4)
    client = running.connect()
    client.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
    until(lambda: sum(len(one.requests) for one in running.server.active_channels.values()) == 5)
    client.sendall(b"--edge\r\nContent-Type: application/dicom\r\n\r\n")
    until(lambda: sum(len(one.requests) for one in running.server.active_channels.values()) == 6)
    house.gate.set()
    for one in (*held, client):
        body_with_head(one)
    until(lambda: house.lines and all(one.is_idle for one in running.server.active_channels.values()))
    assert house.lines == [("/a", 400, 400, True)]


def test_a_body_whose_client_leaves_before_its_end_is_noted_once(running, house):
    client = running.connect()
    client.sendall(b"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    time.sleep(0.1)
    client.close()
    end_of(house)
    assert house.lines == [("/half", 499, 499, False)]
