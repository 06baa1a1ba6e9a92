"""Tests of the transport against sockets that answer what a test wants."""

import socket
import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from dicomweb_gateway.imagesets.curl_handles import TransportSettings
from dicomweb_gateway.imagesets.exchange import Hedge, Request
from dicomweb_gateway.imagesets.transport import Transport
from dicomweb_gateway.imagesets.transport_errors import Unreachable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(TransportSettings())
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_both_requests_of_an_exchange_may_end_in_one_turn(transport, server):
    answered = Event()

    def answer_both() -> None:
        with server.accept()[0] as first, server.accept()[0] as second:
            for connection in (first, second):
                connection.recv(65536)
            for connection in (first, second):
                connection.sendall(ANSWER)
            answered.set()

    turn = transport._loop._turn

    def slow_turn() -> None:
        turn()
        if len(transport._loop._transfers) == 2 and answered.wait(0.05):
            # the answers are on their way through the kernel
            time.sleep(0.05)

    transport._loop._turn = slow_turn
    thread = Thread(target=answer_both)
    thread.start()
    reply = transport.send(Request(url(server), []), time.monotonic() + 10, Hedge(0.05, lambda: True))
    thread.join()
    assert (reply.body, reply.hedged) == (b"ok", True)
    assert transport._loop._transfers == {}
    assert transport.alive


def test_a_request_that_cannot_be_written_fails_alone(transport, server):
    with pytest.raises(Unreachable, match="cannot be written"):
        transport.send(Request(url(server), ["X-Odd: \u00e9"]), time.monotonic() + 5)
    assert transport.alive


def test_without_a_body_there_is_no_content_type(transport, server):
    heads: list[bytes] = []

    def answer() -> None:
        with server.accept()[0] as connection:
            heads.append(connection.recv(65536))
            connection.sendall(ANSWER)

    thread = Thread(target=answer)
    thread.start()
    transport.send(Request(url(server), ["Host: here"]), time.monotonic() + 5)
    thread.join()
    assert b"content-length: 0" in heads[0].lower()
    assert b"content-type" not in heads[0].lower()
