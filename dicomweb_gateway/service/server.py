"""One web process: the app on waitress, on a listening socket that the master made."""

import gc
import logging
import resource
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from dicomweb_gateway.access.addresses import client_key
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import TooManyRequests
from dicomweb_gateway.service.channel import Channel
from dicomweb_gateway.service.draining import Ending, drain, let_in
from dicomweb_gateway.service.loop import Watched
from dicomweb_gateway.service.memory import give_back
from dicomweb_gateway.service.neighbours import Neighbours
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.service.task import TASK
from dicomweb_gateway.service.workers import Workers
from dicomweb_gateway.web.files import PINNED
from dicomweb_gateway.web.refusals import Refusals
from dicomweb_gateway.web.services import Services

_LOG = logging.getLogger(__name__)
_CONNECTIONS = 4096
"""Idle keep-alive connections must never keep a new client out (DESIGN 5)."""
_SPARE_SECONDS = 1.0
"""How long nothing must have moved on a connection that is closed for another one."""
_LOOKAHEAD = 1
"""Requests that are read while one is answered; more than none, so that a client that leaves is noticed."""
_TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_LOOK_SECONDS = 5


class Server(TcpWSGIServer):
    """waitress's server on our connections, threads and loop.

    See `limits` for when a connection is closed. `refusals` answers what cannot be read; `clients` counts the
    connections of each address but those of `proxies`.
    """

    active_channels: Any
    socket: Any
    is_draining = False
    """Whether each answer is the last one of its connection."""
    _look_again_at = 0.0
    """When to look for connections to close, once there were none (time.time)."""

    def __init__(
        self,
        app: Any,
        listening: socket.socket,
        threads: int,
        limits: ServerLimits,
        refusals: Refusals | None = None,
        clients: ClientLimits | None = None,
        proxies: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits
        self.refusals = refusals or Refusals()
        self._clients = clients
        self._proxies = proxies
        self.watched = Watched()
        # waitress asks no more of it than this
        workers: Any = Workers(threads)
        adjustments = Adjustments(
            sockets=[listening],
            threads=threads,
            connection_limit=_connection_limit(),
            channel_timeout=limits.idle_seconds,
            cleanup_interval=min(_LOOK_SECONDS, limits.idle_seconds, max(1, int(limits.header_seconds) // 2)),
            channel_request_lookahead=_LOOKAHEAD,
            recv_bytes=1 << 16,
            # waitress refuses what is as large
            max_request_header_size=limits.header_bytes + 1,
            max_request_body_size=limits.body_bytes + 1,
            ident=None,
            clear_untrusted_proxy_headers=False,
        )
        super().__init__(
            _pausing(app),
            self.watched,
            _sock=listening,
            dispatcher=workers,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        )

    def channel_class(  # type: ignore[override]
        self, _: Any, sock: socket.socket, address: Any, adj: Any, map: Any
    ) -> None:
        """Take a connection, unless its client has too many."""
        ticket = None
        if self._clients is not None and not is_trusted(address[0], self._proxies):
            try:
                ticket = self._clients.connect(client_key(address[0]))
            except TooManyRequests:
                _turn_away(sock)
                return
        Channel(self, sock, address, adj, map=map).ticket = ticket

    def left(self, channel: Channel) -> None:
        """`channel` is closed; once or more often."""
        ticket, channel.ticket = channel.ticket, None
        if ticket is not None and self._clients is not None:
            self._clients.leave(ticket)

    def pull_trigger(self) -> None:
        """Nothing: connections tell for themselves when the loop must look at them (`wake`)."""

    def wake(self, channel: Channel) -> None:
        """Have the loop look at `channel`; from any thread."""
        self.watched.wake(channel)

    def turn(self, seconds: float) -> None:
        """Wait for at most `seconds` until something happens, and deal with it."""
        self.watched.ask(self)
        self.watched.turn(seconds)

    def maintenance(self, now: float) -> None:
        """Close what has been idle or stuck for too long; give unused memory back."""
        for channel in list(self.active_channels.values()):
            if channel.is_stuck(now, self.adj.channel_timeout):
                channel.will_close = True
                self.wake(channel)
        give_back()

    def readable(self) -> bool:
        """Whether to accept; where all connections are taken, those make room on which nothing happens."""
        if self.accepting and len(self.watched) >= self.adj.connection_limit:
            self._make_room()
        return bool(super().readable())

    def _make_room(self) -> None:
        """Close a few that have been silent for the longest; a proxy may be about to use its own."""
        now = time.time()
        if now < self._look_again_at:
            return
        before = now - _SPARE_SECONDS
        silent = [
            channel
            for channel in self.active_channels.values()
            if channel.last_activity < before
            and channel.is_spare
            and not is_trusted(channel.addr[0], self._proxies)
        ]
        silent.sort(key=lambda channel: channel.last_activity)
        for channel in silent[: 1 + self.adj.connection_limit // 32]:
            channel.handle_close()
        if not silent:
            self._look_again_at = now + _SPARE_SECONDS / 10

    def handle_error(self) -> None:
        """End this process, which the master replaces; waitress would go on without listening."""
        raise

    def stop_accepting(self) -> None:
        """Take what has come, and nothing more; the master's own hold of the socket stays."""
        self.is_draining = True
        self.take_waiting(self.socket)
        self.del_channel()
        self.socket.close()

    def take_waiting(self, door: Any) -> None:
        """Accept what waits in the queue of `door`."""
        own = self.socket
        for _ in range(_CONNECTIONS):
            if len(self.watched) >= self.adj.connection_limit or not _has_waiting(door):
                return
            # waitress accepts from its own socket only
            self.socket = door
            try:
                self.handle_accept()
            finally:
                self.socket = own


def serve(
    services: Services,
    listening: socket.socket,
    threads: int,
    limits: ServerLimits | None = None,
    drain_seconds: float = 10.0,
    alive: Callable[[], None] = lambda: None,
    neighbours: Neighbours | None = None,
) -> None:
    """Serve until SIGTERM or SIGUSR2, then finish what is under way for at most `drain_seconds` (`drain`).

    `alive` is called once a second at least. Of `neighbours` it accepts what nobody else does.
    """
    neighbours = neighbours or Neighbours(())
    server = Server(
        create_app(services),
        listening,
        threads,
        limits or ServerLimits(),
        Refusals(services.config, services.audit),
        services.limits,
        services.config.trusted_proxies,
    )
    ending = Ending(server)
    gc.collect()
    # modules and services live as long as the process: walking them takes 50 ms, every some hundred searches
    gc.freeze()
    while not ending.is_asked:
        alive()
        for door in neighbours.unattended():
            server.take_waiting(door)
        server.turn(1)
    server.is_draining = True
    if not ending.has_successor:
        let_in(server, alive)
    # whoever lets go of a socket last resets what waits there
    neighbours.close(server.take_waiting)
    drain(server, ending, drain_seconds, alive)
    if services.audit is not None:
        services.audit.close()
    # the threads are daemons that wait for work; nothing they hold needs an orderly end
    _LOG.info("web process ended")


def _has_waiting(door: Any) -> bool:
    waiting = select.poll()
    waiting.register(door, select.POLLIN)
    return bool(waiting.poll(0))


def _turn_away(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setblocking(False)
        sock.send(_TOO_MANY)
    sock.close()


def _pausing(app: Any) -> Any:
    """`app` with bodies that can stand still; a request that goes on is not asked of it again."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        return environ[TASK].answer(app, environ, start_response)

    return answer


def _connection_limit() -> int:
    """As many as there are descriptors for, a long download on each."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(64, min(_CONNECTIONS, soft // (PINNED + 2)))
