"""One web process's connection to one fetcher: many requests at once, sent again to a replaced fetcher.

The master keeps each fetcher's listening socket, so a connection made while no fetcher runs waits in its
queue until the replacement takes it.
"""

import itertools
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from socket import socket

from dicomweb_gateway.errors import FetchersUnavailable
from dicomweb_gateway.frames import sockets
from dicomweb_gateway.frames.protocol import (
    HELLO,
    Answer,
    MessageReader,
    ProtocolError,
    Request,
    encode_request,
    parse_answer,
)
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.telemetry.timeline import request_id

_MAX_PAYLOAD = (1 << 32) - 1
_MAX_SENDS = 5
_SEND_SECONDS = 5.0
_RECEIVE = 1 << 18
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_LATER = 0.5
"""Seconds that make a deadline another one."""


@dataclass(slots=True, eq=False)
class Pending:
    """A request that waits for its answer; everyone in this process who wants the same shares it.

    `deadline` is the latest of theirs (time.monotonic).
    """

    request: Request
    deadline: float
    future: "Future[Answer]" = field(default_factory=Future)
    waiters: int = 1
    sends: int = 0


class Channel:
    """The multiplexed connection to the fetcher at `address`; it connects in a thread at first use."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._state = threading.Condition()
        self._sending = threading.Lock()
        self._ids = itertools.count(HELLO + 1)
        self._pending: dict[int, Pending] = {}
        self._by_frame: dict[tuple[FrameKey, bool], Pending] = {}
        self._outbox: deque[Request] = deque(maxlen=64)
        self._connection: socket | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self.answering = False
        """Whether a fetcher has greeted the present connection."""

    def ask(self, wanted: WantedFrame, deadline: float = float("inf"), *, inline: bool = False) -> Pending:
        """Ask for a frame, or share the request that is under way for it; `release` it afterwards.

        The fetcher is told until when (time.monotonic) somebody waits, and again when that becomes later.
        """
        with self._state:
            pending = self._by_frame.get((wanted.key, inline))
            if pending is not None:
                pending.waiters += 1
                if deadline <= pending.deadline + _LATER:
                    return pending
                pending.deadline = deadline
                request = Request(pending.request.id, "extend")
            else:
                request = Request(next(self._ids), "get", (wanted,), inline, request_id=request_id())
                pending = self._register(request, deadline)
                self._by_frame[wanted.key, inline] = pending
        # whoever joined meanwhile may wait longer, and what he sent may be there before this
        self._post(_timed(request, pending.deadline))
        return pending

    def ask_stats(self) -> Pending:
        """Ask for the fetcher's counters, which it answers at once however much it has to do."""
        with self._state:
            pending = self._register(Request(next(self._ids), "stats"), float("inf"))
        self._post(pending.request)
        return pending

    def tell(self, frames: tuple[WantedFrame, ...]) -> None:
        """Have frames prefetched; nobody answers, and a broken connection may lose it."""
        request = Request(next(self._ids), "prefetch", frames)
        with self._state:
            self._require_open()
            if self._connection is None:
                self._outbox.append(request)
                return
        self._post(request)

    def release(self, pending: Pending) -> None:
        """One waiter less; the fetcher is told when nobody waits any more."""
        with self._state:
            pending.waiters -= 1
            if pending.waiters > 0 or self._drop(pending.request.id) is None:
                return
        self._post(Request(pending.request.id, "cancel"))

    def close(self) -> None:
        """Hang up and fail what is pending; the channel cannot be used again."""
        with self._state:
            self._closed = True
            left = [self._drop(number) for number in list(self._pending)]
            connection, thread = self._connection, self._thread
            self._state.notify_all()
        if connection is not None:
            sockets.hang_up(connection)
        for pending in left:
            if pending is not None:
                pending.future.set_exception(FetchersUnavailable("the frame pool is closed"))
        if thread is not None:
            thread.join(timeout=_SEND_SECONDS)

    def _register(self, request: Request, deadline: float) -> Pending:
        self._require_open()
        pending = self._pending[request.id] = Pending(request, deadline)
        return pending

    def _require_open(self) -> None:
        if self._closed:
            raise FetchersUnavailable("the frame pool is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"fetcher {self._address}", daemon=True)
            self._thread.start()
        self._state.notify_all()

    def _drop(self, number: int) -> Pending | None:
        pending = self._pending.pop(number, None)
        if pending is not None and pending.request.frames:
            self._by_frame.pop((pending.request.frames[0].key, pending.request.inline), None)
        return pending

    def _post(self, request: Request) -> None:
        """Send if connected; what stays unsent goes out with the next connection."""
        connection = self._connection
        if connection is None:
            return
        try:
            with self._sending:
                sockets.send(connection, [encode_request(request)])
        except OSError:
            sockets.hang_up(connection)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._wait_for_work():
            began = time.monotonic()
            try:
                connection = sockets.connect(self._address)
            except OSError:
                pass
            else:
                with connection:
                    self._serve(connection)
            # a fetcher that dies again and again must not cost a core here
            pause = _FIRST_PAUSE if time.monotonic() - began > 1 else min(pause * 2, _LONGEST_PAUSE)
            time.sleep(pause)

    def _wait_for_work(self) -> bool:
        with self._state:
            while not (self._closed or self._pending or self._outbox):
                self._state.wait()
            return not self._closed

    def _serve(self, connection: socket) -> None:
        sockets.limit_sending(connection, _SEND_SECONDS)
        reader = MessageReader(max_payload=_MAX_PAYLOAD)
        try:
            self._adopt(connection)
            while data := connection.recv(_RECEIVE):
                for header, payload in reader.feed(data):
                    self._resolve(parse_answer(header, payload))
        except (OSError, ProtocolError, MemoryError):
            # an answer may be a frame of any size, and without this thread no other would ever come
            sockets.hang_up(connection)
        finally:
            with self._state:
                self._connection = None
                self.answering = False

    def _adopt(self, connection: socket) -> None:
        with self._state:
            if self._closed:
                raise OSError("closed")
            self._connection = connection
            for pending in self._pending.values():
                pending.sends += 1
            hopeless = [p for p in self._pending.values() if p.sends > _MAX_SENDS]
            for pending in hopeless:
                self._drop(pending.request.id)
            asked = [_timed(pending.request, pending.deadline) for pending in self._pending.values()]
            requests = asked + list(self._outbox)
            self._outbox.clear()
        for pending in hopeless:
            pending.future.set_exception(FetchersUnavailable("the frame fetcher keeps failing"))
        with self._sending:
            sockets.send(connection, [encode_request(request) for request in requests])

    def _resolve(self, answer: Answer) -> None:
        if answer.id == HELLO:
            self.answering = True
            return
        with self._state:
            pending = self._drop(answer.id)
        if pending is not None:
            pending.future.set_result(answer)


def _timed(request: Request, deadline: float) -> Request:
    """The request as it is to be sent now: with the seconds that are left."""
    if deadline == float("inf"):
        return request
    return replace(request, seconds=max(0.0, deadline - time.monotonic()))
