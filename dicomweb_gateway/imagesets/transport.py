"""HTTP POST over libcurl: one thread drives the connections of a process, any number of threads wait for it.

libcurl keeps connections alive, asks again on a fresh one when a kept one turns out to be closed, resolves
names, checks certificates and speaks to proxies. What goes beyond it stands here: a limit to silence, a
deadline, and a second request for an answer that does not begin.
"""

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import pycurl

_LOOK_SECONDS = 0.02
_DNS_SECONDS = 5
_KEEPALIVE_SECONDS = 30
_READ_BYTES = 256 << 10
_NO_TYPE = "Content-Type:"
_EASY_OPTIONS = {
    pycurl.NOSIGNAL: 1,
    pycurl.POST: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.BUFFERSIZE: _READ_BYTES,
    pycurl.TCP_KEEPALIVE: 1,
    pycurl.TCP_KEEPIDLE: _KEEPALIVE_SECONDS,
    pycurl.TCP_KEEPINTVL: _KEEPALIVE_SECONDS,
    pycurl.DNS_CACHE_TIMEOUT: _DNS_SECONDS,
    pycurl.PATH_AS_IS: 1,
    # libcurl must not look into the environment itself: the SDK has, by its own rules
    pycurl.NOPROXY: "",
}

log = logging.getLogger(__name__)


class TransportError(Exception):
    """No whole answer came; the message is one of a fixed few and says why."""


class Unreachable(TransportError):
    """No connection: name, address, proxy or certificate."""


class Interrupted(TransportError):
    """The connection ended within the answer, or before it."""


class TooSlow(TransportError):
    """Connecting took too long, or nothing came for too long, or the deadline passed."""


class TooLarge(TransportError):
    """The body is longer than the request allows."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Timeouts are in seconds: `connect_timeout` to a usable connection, `read_timeout` between bytes.

    `kept` is how many idle connections stay open at most. `ca_bundle` is a PEM file or a folder of them.
    """

    connect_timeout: float = 5
    read_timeout: float = 20
    kept: int = 32
    ca_bundle: str = ""
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One POST; `headers` are whole lines. `limit` is the longest body in bytes that is taken, 0 for any."""

    url: str
    headers: list[str]
    body: bytes = b""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Hedge:
    """When an answer has not begun `after` seconds, and `allowed` says yes, the request is sent once more.

    Where it says no it is asked again after as long.
    """

    after: float
    allowed: Callable[[], bool]


@dataclass(frozen=True)
class Reply:
    """What came back; `begun` is how many seconds its first byte took, `hedged` says that two were asked."""

    status: int
    body: bytes
    begun: float
    hedged: bool
    _lines: list[bytes] = field(repr=False)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; of several answers on the line (100 Continue) the last."""
        found: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(b"HTTP/"):
                found = {}
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                found[name.strip().lower()] = value.strip()
        return found


class Transport:
    """Sends requests from any thread; must be made and used in one process.

    Its descriptors stay until `close`.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._loop = _Loop(settings)
        self._thread = threading.Thread(target=self._loop.run, name="https", daemon=True)
        self._thread.start()

    def send(self, request: Request, deadline: float | None = None, hedge: Hedge | None = None) -> Reply:
        """The whole answer, whatever its status; TransportError else, at the latest at `deadline`.

        `deadline` is a moment of time.monotonic.
        """
        exchange = _Exchange(request, deadline, hedge)
        self._loop.begin(exchange)
        exchange.done.acquire()
        if exchange.error is not None:
            raise exchange.error
        easy_status, begun, transfer = exchange.won
        return Reply(easy_status, transfer.body.getvalue(), begun, exchange.hedged, transfer.lines)

    @property
    def alive(self) -> bool:
        """Whether requests can still be sent."""
        return not self._loop.closed

    def close(self) -> None:
        """Break off what is under way and leave no descriptor open."""
        self._loop.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()


class _Exchange:
    """One request and all that is sent for it; the waiting thread holds on to `done`."""

    __slots__ = (
        "deadline",
        "done",
        "error",
        "failed",
        "hedge",
        "hedge_at",
        "hedged",
        "request",
        "running",
        "won",
    )

    def __init__(self, request: Request, deadline: float | None, hedge: Hedge | None) -> None:
        self.request = request
        self.deadline = deadline
        self.hedge = hedge
        self.hedge_at = None if hedge is None else time.monotonic() + hedge.after
        self.hedged = False
        self.running: list[_Transfer] = []
        self.failed: tuple[int, float, _Transfer] | TransportError | None = None
        self.won: Any = None
        self.error: TransportError | None = None
        self.done = threading.Lock()
        self.done.acquire()


class _Transfer:
    """One request on one connection."""

    __slots__ = ("body", "easy", "exchange", "lines", "moved_at", "seen")

    def __init__(self, exchange: _Exchange, easy: Any) -> None:
        self.exchange = exchange
        self.easy = easy
        self.body = BytesIO()
        self.lines: list[bytes] = []
        self.seen = 0
        self.moved_at = time.monotonic()

    def silent_since(self) -> float:
        """The moment at which something last came; called often enough to be exact to `_LOOK_SECONDS`."""
        seen = self.body.tell() + len(self.lines)
        if seen != self.seen:
            self.seen = seen
            self.moved_at = time.monotonic()
        return self.moved_at


class _Loop:
    """All of libcurl's work, in one thread; only `begin` and `stop` may be called from another."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._watched: set[int] = set()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, settings.kept)
        self._timer_at: float | None = None
        self._look_at = 0.0
        self._inbox: deque[_Exchange] = deque()
        self._asleep = False
        self._transfers: dict[Any, _Transfer] = {}
        self._spare: list[Any] = []
        self._stopping = False
        self._closing = threading.Lock()
        self.closed = False

    def begin(self, exchange: _Exchange) -> None:
        with self._closing:
            if self.closed:
                raise Unreachable("the transport is closed")
            self._inbox.append(exchange)
            self._rouse()

    def stop(self) -> None:
        with self._closing:
            self._stopping = True
            if not self.closed:
                os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:
            log.exception("the HTTP transport failed")
        finally:
            self._shut()

    def _rouse(self) -> None:
        # a loop that is awake looks into the inbox before it sleeps
        if self._asleep:
            os.eventfd_write(self._wake, 1)

    def _turn(self) -> None:
        self._asleep = True
        events = self._poll.poll(0 if self._inbox else self._seconds_to_sleep())
        self._asleep = False
        for descriptor, event in events:
            if descriptor == self._wake:
                os.eventfd_read(descriptor)
            elif descriptor in self._watched:
                self._multi.socket_action(descriptor, _curl_events(event))
        while self._inbox:
            self._begin(self._inbox.popleft())
        now = time.monotonic()
        if self._timer_at is not None and self._timer_at <= now:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()
        if self._transfers and now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._look(now)

    def _seconds_to_sleep(self) -> float:
        moments = [self._look_at] if self._transfers else []
        if self._timer_at is not None:
            moments.append(self._timer_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else -1

    def _on_socket(self, what: int, descriptor: int, *_: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._watched.discard(descriptor)
            # libcurl may have closed it already
            with suppress(OSError):
                self._poll.unregister(descriptor)
            return
        events = select.EPOLLIN if what & pycurl.POLL_IN else 0
        if what & pycurl.POLL_OUT:
            events |= select.EPOLLOUT
        if descriptor in self._watched:
            self._poll.modify(descriptor, events)
        else:
            self._watched.add(descriptor)
            self._poll.register(descriptor, events)

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _begin(self, exchange: _Exchange) -> None:
        try:
            self._start(exchange)
        except (pycurl.error, UnicodeError) as error:
            # libcurl does not take an option, as a credential with letters that no header may hold
            log.error("a request cannot be written (%s)", type(error).__name__)
            self._missed(exchange, Unreachable("the request cannot be written"))

    def _start(self, exchange: _Exchange) -> None:
        easy = self._spare.pop() if self._spare else self._new_easy()
        transfer = _Transfer(exchange, easy)
        request = exchange.request
        easy.setopt(pycurl.URL, request.url)
        # libcurl would call an empty body a form
        easy.setopt(pycurl.HTTPHEADER, request.headers if request.body else [*request.headers, _NO_TYPE])
        easy.setopt(pycurl.POSTFIELDS, request.body)
        easy.setopt(pycurl.MAXFILESIZE_LARGE, request.limit)
        easy.setopt(pycurl.HEADERFUNCTION, transfer.lines.append)
        easy.setopt(pycurl.WRITEFUNCTION, transfer.body.write)
        self._multi.add_handle(easy)
        exchange.running.append(transfer)
        self._transfers[easy] = transfer

    def _new_easy(self) -> Any:
        settings = self._settings
        easy = pycurl.Curl()
        for option, value in _EASY_OPTIONS.items():
            easy.setopt(option, value)
        easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(settings.connect_timeout * 1000)))
        easy.setopt(pycurl.PROXY, settings.proxy)
        if settings.ca_bundle:
            folder = os.path.isdir(settings.ca_bundle)
            easy.setopt(pycurl.CAPATH if folder else pycurl.CAINFO, settings.ca_bundle)
            easy.setopt(pycurl.PROXY_CAPATH if folder else pycurl.PROXY_CAINFO, settings.ca_bundle)
        return easy

    def _collect(self) -> None:
        """Hand over what has ended."""
        _, whole, broken = self._multi.info_read()
        for easy in whole:
            transfer = self._transfers.get(easy)
            if transfer is None:
                # both requests of an exchange ended in one turn, and the first of them has won
                continue
            status = easy.getinfo(pycurl.RESPONSE_CODE)
            begun = easy.getinfo(pycurl.STARTTRANSFER_TIME)
            self._drop(transfer)
            self._came(transfer.exchange, status, begun, transfer)
        for easy, code, _ in broken:
            transfer = self._transfers.get(easy)
            if transfer is None:
                continue
            self._drop(transfer)
            self._missed(transfer.exchange, _error_of(code))

    def _came(self, exchange: _Exchange, status: int, begun: float, transfer: _Transfer) -> None:
        """An answer is there; one that is an error waits for the second request, if there is one."""
        if status >= 300 and exchange.running:
            exchange.failed = (status, begun, transfer)
            return
        exchange.won = (status, begun, transfer)
        self._end(exchange)

    def _missed(self, exchange: _Exchange, error: TransportError) -> None:
        """A request failed; the exchange has, unless its other request still runs or was answered."""
        exchange.failed = exchange.failed or error
        if exchange.running:
            return
        if isinstance(exchange.failed, TransportError):
            exchange.error = exchange.failed
        else:
            exchange.won = exchange.failed
        self._end(exchange)

    def _end(self, exchange: _Exchange) -> None:
        for transfer in tuple(exchange.running):
            self._drop(transfer)
        exchange.done.release()

    def _drop(self, transfer: _Transfer) -> None:
        """Take the transfer out; libcurl closes its connection when it had not ended."""
        easy = transfer.easy
        transfer.exchange.running.remove(transfer)
        del self._transfers[easy]
        self._multi.remove_handle(easy)
        if len(self._spare) >= self._settings.kept:
            easy.close()
            return
        # a handle that rests must not hold on to a frame
        easy.setopt(pycurl.WRITEFUNCTION, _ignore)
        easy.setopt(pycurl.HEADERFUNCTION, _ignore)
        self._spare.append(easy)

    def _look(self, now: float) -> None:
        """What no event tells: deadlines, silence, answers that do not begin."""
        for transfer in tuple(self._transfers.values()):
            exchange = transfer.exchange
            if transfer not in exchange.running:
                continue
            if exchange.deadline is not None and now >= exchange.deadline:
                for running in tuple(exchange.running):
                    self._drop(running)
                self._missed(exchange, TooSlow("not answered before the deadline"))
            elif now - transfer.silent_since() >= self._settings.read_timeout:
                self._silent(transfer, now)
            elif exchange.hedge_at is not None and now >= exchange.hedge_at:
                self._hedge(exchange, transfer)

    def _silent(self, transfer: _Transfer, now: float) -> None:
        """The time to connect has its own limit and does not count as silence."""
        connected = transfer.easy.getinfo(pycurl.PRETRANSFER_TIME)
        begun = transfer.moved_at if transfer.seen else transfer.moved_at + connected
        if not transfer.seen and not connected:
            return
        if now - begun >= self._settings.read_timeout:
            self._drop(transfer)
            self._missed(transfer.exchange, TooSlow("silent for too long"))

    def _hedge(self, exchange: _Exchange, transfer: _Transfer) -> None:
        exchange.hedge_at = None
        if transfer.lines or exchange.hedge is None:
            return
        if not exchange.hedge.allowed():
            exchange.hedge_at = time.monotonic() + exchange.hedge.after
            return
        exchange.hedged = True
        self._start(exchange)

    def _shut(self) -> None:
        with self._closing:
            self.closed = True
        for exchange in {*self._inbox, *(transfer.exchange for transfer in self._transfers.values())}:
            exchange.error = Interrupted("the transport was closed")
            exchange.done.release()
        for easy in self._transfers:
            self._multi.remove_handle(easy)
        for easy in (*self._transfers, *self._spare):
            easy.close()
        self._transfers.clear()
        self._spare.clear()
        self._inbox.clear()
        self._multi.close()
        self._poll.close()
        os.close(self._wake)


def _curl_events(event: int) -> int:
    mask = pycurl.CSELECT_IN if event & select.EPOLLIN else 0
    if event & select.EPOLLOUT:
        mask |= pycurl.CSELECT_OUT
    if event & (select.EPOLLERR | select.EPOLLHUP):
        mask |= pycurl.CSELECT_ERR
    return mask


def _ignore(data: bytes) -> int:
    return len(data)


_E_PROXY = 97
"""CURLE_PROXY, for which pycurl has no name."""

_UNREACHABLE = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's name does not resolve",
    pycurl.E_COULDNT_RESOLVE_HOST: "its name does not resolve",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS connection",
    pycurl.E_PEER_FAILED_VERIFICATION: "its certificate is not trusted",
    pycurl.E_SSL_CACERT_BADFILE: "the certificate bundle cannot be read",
    _E_PROXY: "the proxy refuses",
}


def _error_of(code: int) -> TransportError:
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TooSlow("no connection in time")
    if code == pycurl.E_FILESIZE_EXCEEDED:
        return TooLarge("a body beyond the limit")
    if code in _UNREACHABLE:
        return Unreachable(_UNREACHABLE[code])
    return Interrupted(f"the connection broke (libcurl {code})")
