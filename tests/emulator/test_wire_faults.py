"""What a client sees on the socket when answers are broken off, sent slowly or not at all."""

import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.emulator.running import instances_of


@pytest.fixture
def ask(loaded):
    """Sets one rule for GetImageFrame and asks for a frame over a bare socket: (bytes, how it ended)."""
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    frame_id = next(iter(instances_of(document).values()))["ImageFrames"][0]["ID"]
    path = f"/datastore/{loaded.datastore_id}/imageSet/{loaded.image_set_id}/getImageFrame"
    body = f'{{"imageFrameId":"{frame_id}"}}'
    head = f"POST {path} HTTP/1.1\r\nHost: emulator\r\nContent-Length: {len(body)}\r\n\r\n"
    address = urlsplit(loaded.emulator.url)

    def send(patience=10, **rule):
        rules = [{**rule, "operations": ["GetImageFrame"]}] if rule else []
        loaded.emulator.side("PUT", "faults", json={"rules": rules})
        with socket.create_connection((address.hostname, address.port), timeout=patience) as connection:
            connection.sendall((head + body).encode())
            return read_all(connection)

    yield send
    loaded.emulator.side("PUT", "faults", json={"rules": []})


def read_all(connection):
    received = b""
    try:
        while b"\r\n\r\n" not in received or len(received) < whole_length(received):
            piece = connection.recv(1 << 16)
            if not piece:
                return received, "closed"
            received += piece
    except ConnectionResetError:
        return received, "reset"
    except TimeoutError:
        return received, "silent"
    return received, "whole"


def whole_length(received):
    head, _, _ = received.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(head) + 4 + int(length.split(b":")[1])


@pytest.mark.parametrize(("kind", "end"), [("drop", "reset"), ("truncate", "closed")])
def test_connections_end_before_the_answer_in_its_headers_and_in_its_body(ask, kind, end):
    whole, how = ask()
    assert how == "whole"
    head = whole.index(b"\r\n\r\n") + 4
    nothing, how = ask(kind=kind, at="answer")
    assert (nothing, how) == (b"", end)
    half, how = ask(kind=kind, at="headers")
    assert how == end
    assert half.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\n" not in half
    part, how = ask(kind=kind, at="body")
    assert how == end
    # Date and request id differ; their lengths do not
    assert len(part) == head + (len(whole) - head) // 2
    assert whole_length(part) == len(whole)


def test_a_body_that_is_short_with_a_fitting_length_looks_whole(ask):
    whole, _ = ask()
    cut, how = ask(kind="cut")
    assert how == "whole"
    assert whole_length(cut) == len(cut) < len(whole)


def test_a_slow_body_comes_whole_and_as_slowly_as_asked(ask):
    whole, _ = ask()
    size = len(whole) - whole.index(b"\r\n\r\n") - 4
    began = time.monotonic()
    slow, how = ask(kind="slow", bytes_per_second=size * 4)
    assert how == "whole"
    assert slow.partition(b"\r\n\r\n")[2] == whole.partition(b"\r\n\r\n")[2]
    assert time.monotonic() - began > 0.15


def test_a_hanging_request_gets_nothing_until_it_is_hung_up(ask):
    assert ask(patience=0.3, kind="hang") == (b"", "silent")
    assert ask(kind="hang", wait=0.1) == (b"", "closed")


def test_more_hanging_requests_than_threads_leave_the_switch_in_reach(loaded, ask):
    rules = [{"kind": "hang", "operations": ["GetDatastore"]}]
    loaded.emulator.side("PUT", "faults", json={"rules": rules})
    address = urlsplit(loaded.emulator.url)
    request = f"GET /datastore/{loaded.datastore_id} HTTP/1.1\r\nHost: emulator\r\n\r\n".encode()
    hanging = [socket.create_connection((address.hostname, address.port), timeout=10) for _ in range(200)]
    try:
        for connection in hanging:
            connection.sendall(request)
        loaded.emulator.side("PUT", "faults", json={"rules": []})
        assert [connection.recv(1) for connection in hanging] == [b""] * len(hanging)
    finally:
        for connection in hanging:
            connection.close()


def test_a_hanging_request_whose_client_leaves_gives_its_thread_back(loaded, ask):
    loaded.emulator.side("POST", "counters/reset")
    ask(patience=0.1, kind="hang")
    deadline = time.monotonic() + 10
    while loaded.emulator.side("GET", "counters")["operations"]["GetImageFrame"]["inFlight"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_straggler_is_late_and_right(ask):
    began = time.monotonic()
    _, how = ask(kind="late", wait=0.2)
    assert how == "whole"
    assert time.monotonic() - began >= 0.2
