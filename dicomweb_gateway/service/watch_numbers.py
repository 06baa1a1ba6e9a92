"""The numbers of `index watch` for Prometheus, on a port that serves nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Protocol

from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.errors import GatewayError, SettingsError
from dicomweb_gateway.telemetry.catalogue import (
    WATCH_POLLED,
    WATCH_QUEUE,
    WATCH_RECONCILED,
    WATCH_UNINDEXED,
    Labels,
)
from dicomweb_gateway.web.metrics import Gauge, exposition

_LOOPBACK = ("127.0.0.0/8", "::1")
_SECONDS = 10


class Queue(Protocol):
    """What is asked of the queue; see `imagesets.event_queue.EventQueue`."""

    def waiting(self) -> int:
        """Messages that wait."""
        ...

    def dead(self) -> int | None:
        """Messages that were given up."""
        ...


class Times(Protocol):
    """What is asked of the watcher: moments by time.time, 0 before the first."""

    polled_at: float
    reconciled_at: float


def watch_gauges(times: Times, queue: Queue, unindexed: Callable[[], int]) -> list[Gauge]:
    """What is asked for when it is told; what does not answer now has no number."""
    found: list[Gauge] = [
        (WATCH_POLLED, (), times.polled_at),
        (WATCH_RECONCILED, (), times.reconciled_at),
    ]
    asked: tuple[tuple[Labels, Callable[[], int | None]], ...] = (
        (("waiting",), queue.waiting),
        (("dead",), queue.dead),
        ((), unindexed),
    )
    for labels, ask in asked:
        try:
            value = ask()
        except GatewayError:
            continue
        if value is not None:
            found.append((WATCH_QUEUE if labels else WATCH_UNINDEXED, labels, float(value)))
    return found


@contextmanager
def told_on(
    host: str, port: int, readers: tuple[str, ...], gauges: Callable[[], list[Gauge]]
) -> Iterator[int]:
    """While this lasts `readers` (addresses, networks) and this machine may read /metrics; gives the port.

    SettingsError when the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            """The numbers; for strangers, and elsewhere, there is nothing."""
            known = is_trusted(self.client_address[0], (*_LOOPBACK, *readers))
            if not known or self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body, media_type = exposition(self.headers.get("Accept", ""), gauges())
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            """No name and no version."""
            return "dicomweb-gateway"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: an address might hold anything."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise SettingsError(f"WATCH_METRICS: cannot listen on {host}:{port}: {error.strerror}") from error
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
