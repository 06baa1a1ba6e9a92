"""Connections of a web process: slow readers, stuck ones, lost frames, clients that leave (M-8, M-9, H-9)."""

import gc
import os
import socket
import threading
import time
import weakref
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from waitress.channel import HTTPChannel

from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import FrameInMemory, LostFrame
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.service import server as service_server
from dicomweb_gateway.service.channel import Channel
from dicomweb_gateway.service.outgoing import OutgoingBytes
from dicomweb_gateway.service.pace import Pace
from dicomweb_gateway.service.server import Server
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.wado.body import FrameSlice
from dicomweb_gateway.web.files import PINNED, SegmentFile

THREADS = 4
HEAD_END = b"\r\n\r\n"
PIECE = bytes(range(256)) * 1024
PIECES = 200
FRAMES = 3 * PINNED


class House:
    """What is asked of the server, and what becomes of it."""

    def __init__(self, folder):
        self.store = FrameStore(folder)
        self.store.prepare()
        self.made = 0
        self.ended = 0
        self.fetched = []
        self.lost_for_good = False
        self.payloads = [os.urandom(120_000) for _ in range(FRAMES)]

    def key(self, number):
        return FrameKey("1" * 32, "2" * 32, f"{number:032x}")

    def app(self, environ, start_response):
        if environ["PATH_INFO"] == "/long":
            start_response("200 OK", [("Content-Type", "a/b")])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else self.pieces()
        if environ["PATH_INFO"] == "/frames":
            return self.frames(environ, start_response)
        if environ["PATH_INFO"] == "/known":
            start_response("304 Not Modified", [("ETag", '"x"')])
            return []
        body = (environ["QUERY_STRING"] or "ok").encode()
        start_response("200 OK", [("Content-Type", "a/b"), ("Content-Length", str(len(body)))])
        return [body]

    def pieces(self):
        try:
            for _ in range(PIECES):
                self.made += 1
                yield PIECE
        finally:
            self.ended += 1

    def frames(self, environ, start_response):
        segments = [b"head"]
        for number, payload in enumerate(self.payloads):
            stored = self.store.publish(self.key(number), payload).recovering(lambda n=number: self.again(n))
            segments += [FrameSlice(stored, 0, stored.length), b"next"]
        file = SegmentFile(segments)
        file.fill()
        start_response("200 OK", [("Content-Type", "a/b"), ("Content-Length", str(len(file)))])
        return environ["wsgi.file_wrapper"](file)

    def again(self, number):
        if self.lost_for_good:
            raise LostFrame("gone")
        self.fetched.append((number, threading.current_thread().name))
        return FrameInMemory(self.payloads[number])

    def whole(self):
        return b"head" + b"".join(payload + b"next" for payload in self.payloads)


class Running:
    def __init__(self, house, limits, **more):
        self._door = socket.create_server(("127.0.0.1", 0))
        self.server = Server(house.app, self._door, THREADS, limits, **more)
        self._on = True
        self._thread = threading.Thread(target=self._run, name="loop")
        self._thread.start()
        self._clients = []

    def _run(self):
        while self._on:
            self.server.turn(0.2)

    def ask(self, path, window=None, stays=False):
        """A connection on which `path` has been asked, with a receive buffer of `window` bytes.

        It ends with the answer, unless it `stays`.
        """
        client = socket.socket()
        client.settimeout(20)
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.connect(self._door.getsockname())
        ends = "" if stays else "Connection: close\r\n"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{ends}\r\n".encode())
        self._clients.append(client)
        return client

    def connect(self):
        """A connection on which nothing has been asked."""
        client = socket.create_connection(self._door.getsockname(), timeout=20)
        self._clients.append(client)
        return client

    def close(self):
        for client in self._clients:
            client.close()
        until(lambda: not self.server.active_channels)
        self._on = False
        self._thread.join()
        for dispatcher in list(self.server.watched.values()):
            dispatcher.close()
        self.server.watched.close()


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def body_of(client):
    data = bytearray()
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 20):
            data += piece
    return bytes(data).partition(b"\r\n\r\n")[2]


def unchunked(body):
    pieces, start = [], 0
    while start < len(body):
        end = body.index(b"\r\n", start)
        size = int(body[start:end], 16)
        pieces.append(body[end + 2 : end + 2 + size])
        start = end + size + 4
    return b"".join(pieces)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "frames")


@pytest.fixture
def start(house):
    running = []

    def begin(idle_seconds=60, **more):
        limits = ServerLimits(idle_seconds=idle_seconds, header_seconds=min(20, idle_seconds))
        running.append(Running(house, limits, **more))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def test_slow_readers_hold_no_thread_and_get_everything(house, start):
    running = start()
    readers = [running.ask("/long", 4096) for _ in range(3 * THREADS)]
    for reader in readers:
        assert reader.recv(10)
    until(lambda: house.made > len(readers))
    for _ in range(20):
        assert body_of(running.ask("/short")) == b"ok"
    made = house.made
    assert made < len(readers) * PIECES // 2
    # the reader that goes on gets all of it
    assert unchunked((b"HTTP" + b"".join(_all(readers[0]))).partition(HEAD_END)[2]) == PIECE * PIECES
    assert house.ended >= 1


def _all(client):
    while piece := client.recv(1 << 20):
        yield piece


def test_a_long_answer_arrives_whole(start):
    assert unchunked(body_of(start().ask("/long"))) == PIECE * PIECES


def test_a_client_that_leaves_ends_the_making(house, start):
    reader = start().ask("/long", 4096)
    assert reader.recv(100)
    reader.close()
    until(lambda: house.ended == 1)
    assert house.made < PIECES


class Counted:
    """A body whose end is told by nothing but `close`."""

    def __init__(self):
        self.begun = False
        self.ended = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.begun = True
        return PIECE

    def close(self):
        self.ended += 1


def test_a_client_that_leaves_as_its_answer_goes_on_ends_it(house, start, monkeypatch):
    """A slot of `Streams` would never come back."""
    counted, serve = Counted(), HTTPChannel.service

    def leave_and_serve(channel):
        if counted.begun:
            channel.connected = False
        serve(channel)

    monkeypatch.setattr(house, "pieces", lambda: counted)
    monkeypatch.setattr(HTTPChannel, "service", leave_and_serve)
    reader = start().ask("/long", 4096)
    until(lambda: counted.begun)
    body_of(reader)
    until(lambda: counted.ended)
    assert counted.ended == 1


def test_an_answer_that_nobody_reads_is_ended(house, start):
    reader = start(idle_seconds=1).ask("/long", 4096)
    assert reader.recv(100)
    until(lambda: house.ended == 1)
    assert house.made < PIECES


def test_a_request_that_does_not_come_to_its_end_is_ended(start):
    running = start(idle_seconds=1)
    slow = socket.create_connection(running._door.getsockname())
    slow.settimeout(0.2)
    ended, deadline = False, time.monotonic() + 10
    while not ended and time.monotonic() < deadline:
        try:
            slow.sendall(b"G")
            ended = slow.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            ended = True
    slow.close()
    assert ended


def test_half_a_request_behind_a_long_answer_does_not_end_that():
    """It is not read to its end as long as the answer is not."""
    channel: Any = SimpleNamespace(
        request=SimpleNamespace(headers_finished=False), requests=[], total_outbufs_len=1, last_activity=0
    )
    channel._pace = Pace(ServerLimits(header_seconds=2, slowest=0))
    channel.sent_bytes, channel._pace = 0, Pace(ServerLimits(header_seconds=3, slowest=0))
    assert not Channel.is_stuck(channel, 0, 2)
    channel.last_activity = 4
    assert not Channel.is_stuck(channel, 5, 2)
    channel.total_outbufs_len, channel.last_activity = 0, 5
    assert not Channel.is_stuck(channel, 6, 2)
    channel.last_activity = 8
    assert Channel.is_stuck(channel, 9, 2)


def test_frames_that_leave_the_store_meanwhile_are_fetched_by_workers(house, start):
    reader = start().ask("/frames", 4096)
    began = reader.recv(100)
    for number in range(FRAMES):
        os.unlink(house.store.path(house.key(number)))
    body = (began + b"".join(_all(reader))).partition(b"\r\n\r\n")[2]
    assert body == house.whole()
    assert house.fetched
    assert all(name.startswith("worker") for _, name in house.fetched)


def test_what_is_lost_for_good_cuts_the_answer(house, start):
    house.lost_for_good = True
    reader = start().ask("/frames", 4096)
    began = reader.recv(100)
    for number in range(FRAMES):
        os.unlink(house.store.path(house.key(number)))
    head, _, body = (began + body_with_head(reader)).partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert len(body) < len(house.whole())
    assert house.whole().startswith(body)


def body_with_head(client):
    data = b""
    with suppress(ConnectionResetError):
        while piece := client.recv(1 << 20):
            data += piece
    return data


@pytest.mark.parametrize(
    ("request_lines", "status"),
    [
        (b"GET / HTTP/1.1\r\n", b"200"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n", b"100"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", b"100"),
    ],
)
def test_a_client_is_told_to_go_on_only_where_something_is_to_come(start, request_lines, status):
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(5)
        client.sendall(request_lines + b"Host: x\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 " + status


def test_a_body_that_was_asked_for_is_taken(start):
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(5)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"ab")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def breaking():
    yield PIECE
    raise RuntimeError("the rest cannot be had")


def test_http_1_0_is_told_that_an_answer_was_cut_off(house, start, monkeypatch):
    """Proxies ask so by default; the end of a connection is the end of such an answer."""
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(10)
        client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        assert b"".join(_all(client)).partition(HEAD_END)[2] == PIECE * PIECES
    monkeypatch.setattr(house, "pieces", breaking)
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(10)
        client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            assert list(_all(client))


def test_http_1_0_is_told_that_an_answer_was_not_read_in_time(house, start):
    with socket.socket() as client:
        client.settimeout(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(start(idle_seconds=1)._door.getsockname())
        client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        until(lambda: house.ended == 1)
        with pytest.raises(ConnectionResetError):
            assert list(_all(client))


def test_a_client_that_knows_the_answer_keeps_its_connection(start):
    """Viewers ask again for all they hold; waitress would have them connect anew for each."""
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(5)
        for _ in range(2):
            client.sendall(b"GET /known HTTP/1.1\r\nHost: x\r\n\r\n")
            head = client.recv(1000)
            assert head.startswith(b"HTTP/1.1 304 Not Modified\r\n")
            assert head.endswith(HEAD_END)
            assert b"Connection" not in head
            assert b"Content-Length" not in head
        client.sendall(b"GET /?after HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).endswith(HEAD_END + b"after")


def test_the_head_of_a_long_answer_has_no_body(start):
    with socket.create_connection(start()._door.getsockname()) as client:
        client.settimeout(5)
        client.sendall(b"HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"".join(_all(client)).partition(HEAD_END)[1:] == (HEAD_END, b"")


def test_closed_connections_do_not_wait_for_the_collector(start):
    """That comes seldom: what is frozen at the start counts as long-lived."""
    running, known = start(), []
    gc.disable()
    try:
        for _ in range(20):
            with socket.create_connection(running._door.getsockname()) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(1000)
                known += [weakref.ref(one) for one in running.server.active_channels.values()]
            until(lambda: not running.server.active_channels)
        # each worker remembers the last one that it served
        until(lambda: sum(one() is not None for one in known) <= THREADS + 1)
    finally:
        gc.enable()


def test_urgent_data_do_not_keep_the_loop_awake(start, caplog):
    running = start()
    client = socket.create_connection(running._door.getsockname())
    client.send(b"!", socket.MSG_OOB)
    time.sleep(0.3)
    assert len(caplog.records) < 10
    client.close()


def test_a_fault_while_sending_costs_one_connection(start, monkeypatch):
    running = start()
    faulty = running.ask("/frames", 4096)
    assert faulty.recv(10)
    monkeypatch.setattr(SegmentFile, "send", lambda *_: 1 // 0)
    body_with_head(faulty)
    assert body_of(running.ask("/short")) == b"ok"


def test_a_fault_in_the_loop_costs_one_connection(start, monkeypatch):
    running = start()
    with monkeypatch.context() as patch:
        patch.setattr(Channel, "settle", lambda _: 1 // 0)
        body_with_head(running.ask("/long"))
    assert body_of(running.ask("/short")) == b"ok"


def test_a_server_that_cannot_accept_does_not_go_on_in_silence(house, monkeypatch):
    door = socket.create_server(("127.0.0.1", 0))
    server = Server(house.app, door, THREADS, ServerLimits())
    monkeypatch.setattr(server, "channel_class", lambda _, sock, *__, **___: sock.close() or 1 // 0)
    with socket.create_connection(door.getsockname()), pytest.raises(ZeroDivisionError):
        server.turn(5)
    for dispatcher in list(server.watched.values()):
        dispatcher.close()
    server.watched.close()


def test_idle_connections_keep_nobody_out(house, start, monkeypatch):
    """Whether they say nothing or only begin to; who is being answered, or comes by a proxy, stays."""
    monkeypatch.setattr(service_server, "_connection_limit", lambda: 64)
    monkeypatch.setattr(service_server, "_SPARE_SECONDS", 0.0)
    running = start()
    taking = running.ask("/frames", 4096)
    idle = [running.connect() for _ in range(150)]
    for one in idle[::2]:
        with suppress(OSError):
            one.sendall(b"GET /short HTTP/1.1\r\nHost: x\r\n")
    assert body_of(running.ask("/short")) == b"ok"
    assert body_of(taking) == house.whole()
    trusting = start(proxies=("127.0.0.1",))
    client = trusting.ask("/short", stays=True)
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    trusting.server._make_room()
    assert len(trusting.server.active_channels) == 1


def test_requests_close_upon_each_other_get_their_own_answers(start, monkeypatch):
    """The next request is begun by another worker before the last one's has quite ended."""
    monkeypatch.setattr(Server, "pull_trigger", slowly(Server.pull_trigger))
    door = start()._door.getsockname()
    client = socket.create_connection(door)
    client.settimeout(10)
    for number in range(0, 400, 2):
        asked = [b"%06d" % number, b"%06d" % (number + 1)]
        client.sendall(b"".join(b"GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n" % one for one in asked))
        data = b""
        while data.count(HEAD_END) < 2 or not data.endswith(asked[1]):
            piece = client.recv(1 << 16)
            assert piece, "the connection ended"
            data += piece
        assert [one[:6] for one in data.split(HEAD_END)[1:]] == asked
    client.close()


def slowly(function):
    def delayed(*arguments):
        time.sleep(0.002)
        return function(*arguments)

    return delayed


def test_the_loop_does_not_spin_while_a_worker_sends(start, monkeypatch):
    """To watch for room in the socket meanwhile would be to find it again and again."""
    running, seen, sending, go_on = start(), [], threading.Event(), threading.Event()
    handle_write, send = Channel.handle_write, OutgoingBytes.send

    def sent_late(self, *arguments):
        sending.set()
        go_on.wait(20)
        return send(self, *arguments)

    monkeypatch.setattr(OutgoingBytes, "send", sent_late)
    monkeypatch.setattr(Channel, "handle_write", lambda self: seen.append(1) or handle_write(self))
    client = running.ask("/short", stays=True)
    assert sending.wait(10)
    # an event on the connection, after which the loop asks what it waits for
    client.sendall(b"GET /short HTTP/1.1\r\n")
    time.sleep(0.5)
    times = len(seen)
    go_on.set()
    assert times < 20
    client.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
    assert body_of(client).startswith(b"okHTTP/1.1 200")
