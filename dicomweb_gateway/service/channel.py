"""A connection of a web process: waitress's, but no thread ever waits for a slow reader.

Three things differ from `waitress.channel`. Files go out by sendfile, opened by worker threads only. A
worker sends its answer itself instead of leaving that to the loop. And an answer that is made while it goes
out stands still, without a thread, while its reader has not taken what there is.
"""

from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any

from dicomweb_gateway.access.shared_counts import Ticket
from dicomweb_gateway.service.account import Account, Mark
from dicomweb_gateway.service.heads import RequestParser
from dicomweb_gateway.service.pace import Pace
from dicomweb_gateway.service.sending import SendingChannel
from dicomweb_gateway.service.task import Paused, RefusalTask, Task
from dicomweb_gateway.web.endings import AtEnd, Ending
from dicomweb_gateway.web.refusals import Refusals


class Channel(SendingChannel):
    """See above. `service` runs in worker threads, one at a time; `handle_*` and `settle` in the loop's."""

    _fileno: int | None
    request: Any
    error_task_class: Any = RefusalTask

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self.refused = ""
        """Why the next request is not to be begun."""
        self.ends_open = False
        """Whether nothing but the end of the connection tells the client the end of the answer (HTTP/1.0)."""
        self.is_made = False
        """Whether all of the last answer is at hand."""
        self._waits = False
        self._serving = False
        self._deaf = False
        self.account = Account(0)
        """Of the answer that is under way."""
        self.ticket: Ticket | None = None
        """Where the connection is counted for its client."""
        self._pace = Pace(server.limits)
        self._parser: RequestParser | None = None
        super().__init__(server, sock, addr, adj, map=map)

    def parser_class(self, adj: Any) -> RequestParser:  # type: ignore[override, unused-ignore]
        """The parser of the next request; in the loop's thread, but for waitress's own error answers."""
        before = self._parser
        head, blanks = (None, 0) if before is None else (before.head, before.blanks if before.empty else 0)
        self._parser = RequestParser(adj, head, self.server.limits, blanks)
        self._parser.owner = self
        return self._parser

    @property
    def stands_in_line(self) -> bool:
        """Whether the next request is one for metadata: a viewer asks for those of all series at once."""
        waiting: Any = self.requests[:1]
        return any(one.path.rstrip("/").endswith("/metadata") for one in waiting if not one.error)

    def has_left(self) -> bool:
        """Whether the client has hung up."""
        return not self.connected

    def refuse(self, reason: str) -> None:
        """Have the next request answered 503."""
        self.refused = reason

    def task_class(self, channel: "Channel", request: Any) -> Task:  # type: ignore[override]
        """The task of `request`, the same after a pause.

        It hangs on its request: before `service` has returned for one request, another worker may serve the
        next.
        """
        if request.task is None:
            request.task = Task(channel, request)
        task: Task = request.task
        return task

    def service(self) -> None:
        """Answer a request, or go on with it; what cannot go on now waits until `settle`."""
        request: Any = self.requests[0]
        self._serving = True
        try:
            if request.task is None and self.is_full:
                raise Paused
            self._open_account(request)
            self._serve(request)
        except Paused:
            with self.outbuf_lock:
                self._waits = True
        finally:
            # first: what the loop left to this worker until now it must be told of
            self._serving = False
            if self._deaf or self._is_unsettled:
                self.server.wake(self)

    def _serve(self, request: Any) -> None:
        super().service()
        # they name each other
        task, request.task = request.task, None
        if task is None:
            return
        task.environ = None
        # waitress does not go on with an answer whose client has left meanwhile
        if task.body is not None:
            task.body.end()

    def _open_account(self, request: Any) -> None:
        if request.account is None:
            request.account = self.account = Account(self._given_bytes)
            if request.error:
                self.account.at_end.append(self._noted(request, request.error.code))

    @property
    def body_bytes_given(self) -> int:
        """Bytes of the present answer's body that are sent or wait to be."""
        return self._given_bytes - self.account.start - self.account.head

    def is_over(self, request: RequestParser) -> None:
        """All of the answer to `request` is at hand, or there will be none; before the next one is begun."""
        account = request.account
        if account is None:
            # it waited behind one after which the connection was closed; without a method it is the body of
            # that one, which nobody reads
            if request.error is None or hasattr(request, "command"):
                self._note_left(request)
            return
        if request.error is None and (request.task is None or request.task.environ is None):
            # its client had left before it was begun
            account.at_end.append(self._noted(request, 499))
        with self.outbuf_lock:
            account.stop = self._given_bytes
            if self.connected and self.total_outbufs_len:
                self.outbufs.append(Mark(account, self))
                return
        account.settle(self.sent_bytes)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered, and no answer waits to be sent."""
        return not (self.requests or self.request is not None or self.total_outbufs_len or self._serving)

    @property
    def is_spare(self) -> bool:
        """Whether its end would cost nobody an answer: no request has come whole."""
        if self.requests or self.total_outbufs_len or self._serving:
            return False
        half: Any = self.request
        return half is None or not half.headers_finished

    def cut_off(self) -> None:
        """End the connection with whatever it has under way."""
        account = self.account
        account.stop = max(account.stop, self._given_bytes)
        self.handle_close()
        account.settle(self.sent_bytes)

    def _noted(self, request: Any, status: int) -> AtEnd:
        """What has the audit log name a request that no application sees, when it is over."""
        method, path, query = (getattr(request, name, "") for name in ("command", "path", "query"))
        # of a head that is too long waitress pretends another
        if request.error is not None and status == 431:
            path = query = ""
        refusals: Refusals = self.server.refusals
        return refusals.noted(self.addr[0], method, path, query, request.headers, status)

    def _note_left(self, request: Any) -> None:
        """Have it name one whose client has left before it was begun."""
        self._noted(request, 499)(Ending(499, 0, False))

    @property
    def _is_unsettled(self) -> bool:
        return bool(self._waits or self.total_outbufs_len or self.close_when_flushed or self.will_close)

    def settle(self) -> None:
        """Send what waits, and have what stood still go on when there is room for it."""
        if self._fileno is not None and self.writable():
            self.handle_write()
        self._go_on()

    def _go_on(self) -> None:
        # without the lock, which a worker holds while it sends: who sets this wakes the loop afterwards
        if not self._waits:
            return
        with self.outbuf_lock:
            if not self._waits or (self.is_full and self.connected):
                return
            self._waits = False
        self.server.task_dispatcher.add_step(self)

    def readable(self) -> bool:
        """Whether another request may be read; while one runs, so that a client that leaves is noticed."""
        # first: a worker that makes this true again must see that the loop has to be told
        self._deaf = True
        self._deaf = not (self.connected and super().readable())
        return not self._deaf

    def handle_read(self) -> None:
        """Read, unless something has changed since the loop asked."""
        if self.readable():
            super().handle_read()

    def writable(self) -> bool:
        """Whether there is something that this thread may send, or the end to be made."""
        if self.will_close:
            return True
        if self._filling or (self._serving and not self._blocked):
            # a worker sends; to watch meanwhile would be to spin, since the socket takes more at once
            return False
        return bool(self.total_outbufs_len or self.close_when_flushed)

    def handle_write(self) -> None:
        """Send what is open; have a worker open what is not."""
        if self._filling and not self.will_close:
            return
        if self.total_outbufs_len and self.outbuf_lock.acquire(False):
            try:
                self._send_open()
            finally:
                self.outbuf_lock.release()
        if self.close_when_flushed and not self.total_outbufs_len:
            self.will_close = True
        if self.will_close:
            self.handle_close()
        else:
            self._go_on()

    def handle_close(self) -> None:
        """The connection is over; who stands still is woken to end its work."""
        if self.socket is not None and self.ends_open and (self.total_outbufs_len or not self.is_made):
            # what was cut off must not end as what is whole does: reset
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        super().handle_close()
        # its head names this connection by way of the environ, and the collector comes seldom
        self._parser = None
        self._drop_half()
        self.server.left(self)
        self._go_on()

    def _drop_half(self) -> None:
        """Forget the request that has begun to come, and note one of which only the body is missing."""
        half: Any = self.request
        if half is None or half.owner is None:
            return
        half.owner = None
        if half.headers_finished and not half.completed:
            self._note_left(half)

    def is_stuck(self, now: float, seconds: float) -> bool:
        """Whether nothing has moved for `seconds`, or what moves is too slow."""
        # nothing is read while requests or answers wait, so what has not come may not be the client's fault
        half = None if self.requests or self.total_outbufs_len else self.request
        if self._pace.is_too_slow(now, half, self.total_outbufs_len, self.sent_bytes):
            return True
        waits = not self.requests or self.total_outbufs_len
        return bool(waits and self.last_activity < now - seconds)

    def send_continue(self) -> None:
        """Tell the client to send the body that it has announced, unless there is none or it is refused."""
        self.request.expect_continue = False
        if self.request.completed:
            return
        self.sent_continue = True
        self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")
