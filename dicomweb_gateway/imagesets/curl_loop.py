"""The thread that drives all connections of a transport."""

import logging
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

import pycurl

from dicomweb_gateway.imagesets.curl_handles import CurlHandles, TransportSettings
from dicomweb_gateway.imagesets.exchange import Exchange, Transfer
from dicomweb_gateway.imagesets.transport_errors import (
    Interrupted,
    TooSlow,
    TransportError,
    Unreachable,
    error_of,
)

_LOOK_SECONDS = 0.02
_NO_TYPE = "Content-Type:"

log = logging.getLogger(__name__)


class Loop:
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
        self._inbox: deque[Exchange] = deque()
        self._asleep = False
        self._transfers: dict[Any, Transfer] = {}
        self._handles = CurlHandles(settings)
        self._stopping = False
        self._closing = threading.Lock()
        self.closed = False

    def begin(self, exchange: Exchange) -> None:
        """Have `exchange` sent; Unreachable when the transport is closed."""
        with self._closing:
            if self.closed:
                raise Unreachable("the transport is closed")
            self._inbox.append(exchange)
            self._rouse()

    def stop(self) -> None:
        """Have `run` end."""
        with self._closing:
            self._stopping = True
            if not self.closed:
                os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Work until `stop`, and then break off what is under way."""
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

    def _begin(self, exchange: Exchange) -> None:
        try:
            self._start(exchange)
        except (pycurl.error, UnicodeError) as error:
            # libcurl does not take an option, as a credential with letters that no header may hold
            log.error("a request cannot be written (%s)", type(error).__name__)
            self._missed(exchange, Unreachable("the request cannot be written"))

    def _start(self, exchange: Exchange) -> None:
        easy = self._handles.take()
        transfer = Transfer(exchange, easy)
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
            self._missed(transfer.exchange, error_of(code))

    def _came(self, exchange: Exchange, status: int, begun: float, transfer: Transfer) -> None:
        """An answer is there; one that is an error waits for the second request, if there is one."""
        if status >= 300 and exchange.running:
            exchange.failed = (status, begun, transfer)
            return
        exchange.won = (status, begun, transfer)
        self._end(exchange)

    def _missed(self, exchange: Exchange, error: TransportError) -> None:
        """A request failed; the exchange has, unless its other request still runs or was answered."""
        exchange.failed = exchange.failed or error
        if exchange.running:
            return
        if isinstance(exchange.failed, TransportError):
            exchange.error = exchange.failed
        else:
            exchange.won = exchange.failed
        self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        for transfer in tuple(exchange.running):
            self._drop(transfer)
        exchange.done.release()

    def _drop(self, transfer: Transfer) -> None:
        """Take the transfer out; libcurl closes its connection when it had not ended."""
        easy = transfer.easy
        transfer.exchange.running.remove(transfer)
        del self._transfers[easy]
        self._multi.remove_handle(easy)
        self._handles.give_back(easy)

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

    def _silent(self, transfer: Transfer, now: float) -> None:
        """The time to connect has its own limit and does not count as silence."""
        connected = transfer.easy.getinfo(pycurl.PRETRANSFER_TIME)
        begun = transfer.moved_at if transfer.seen else transfer.moved_at + connected
        if not transfer.seen and not connected:
            return
        if now - begun >= self._settings.read_timeout:
            self._drop(transfer)
            self._missed(transfer.exchange, TooSlow("silent for too long"))

    def _hedge(self, exchange: Exchange, transfer: Transfer) -> None:
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
            easy.close()
        self._handles.close()
        self._transfers.clear()
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
