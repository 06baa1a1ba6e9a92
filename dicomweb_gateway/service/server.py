"""One web process: the app on waitress, on a listening socket that the master made."""

import gc
import logging
import signal
import socket
import time
from typing import Any

from waitress.server import create_server

from dicomweb_gateway.app import create_app
from dicomweb_gateway.web.services import Services

_LOG = logging.getLogger(__name__)
_CONNECTIONS = 4096
"""Idle keep-alive connections must never keep a new client out (DESIGN 5)."""
_SEND_BYTES = 4096
"""Below waitress's own 18,000: a tiny answer goes out at once, 1.5 times as many a second (DESIGN 5)."""
_DRAIN_SECONDS = 10.0


def serve(services: Services, listening: socket.socket, threads: int) -> None:
    """Serve until SIGTERM, then finish what is under way for at most 10 s."""
    server: Any = create_server(
        create_app(services),
        sockets=[listening],
        threads=threads,
        connection_limit=_CONNECTIONS,
        asyncore_use_poll=True,
        send_bytes=_SEND_BYTES,
        channel_timeout=120,
        ident=None,
        clear_untrusted_proxy_headers=False,
    )
    draining: list[float] = []

    def drain(*_: object) -> None:
        draining.append(time.monotonic() + _DRAIN_SECONDS)
        server.pull_trigger()

    signal.signal(signal.SIGTERM, drain)
    gc.collect()
    # modules and services live as long as the process: walking them takes 50 ms, every some hundred searches
    gc.freeze()
    while not draining:
        server.asyncore.loop(timeout=1, map=server._map, use_poll=True, count=1)
    server.del_channel()
    while _is_busy(server) and time.monotonic() < draining[0]:
        server.asyncore.loop(timeout=0.1, map=server._map, use_poll=True, count=1)
    # the threads are daemons that wait for work; nothing they hold needs an orderly end
    server.task_dispatcher.set_thread_count(0)
    _LOG.info("web process ended")


def _is_busy(server: Any) -> bool:
    """Whether a request is being answered or an answer still lies in a buffer."""
    channels = list(server.active_channels.values())
    return any(channel.requests or channel.total_outbufs_len for channel in channels)
