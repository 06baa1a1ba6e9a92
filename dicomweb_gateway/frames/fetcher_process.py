"""A fetcher as a process of its own: what it is made of, how it is stopped, what ends it when it hangs.

Import this module only in the process that fetches: it brings numpy, the codecs and the AWS SDK along.
"""

import faulthandler
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher import Fetcher
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.pacing import RateLimits
from dicomweb_gateway.pixels.guarded import configure_decoders


def run_fetcher(
    listening: socket.socket, config: FetcherConfig, alive: Callable[[], None] = lambda: None
) -> None:
    """Serve the connections of `listening` until SIGTERM, or until the parent process is gone.

    Call it in the main thread of a freshly forked process. `alive` is called once a second at least.
    """
    image_sets = HealthImaging(
        config.endpoint_url,
        config.region,
        max_connections=config.fetches_in_flight,
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        limits=RateLimits(
            frames=config.frame_rate_limit, folder=Path(config.rate_folder) if config.rate_folder else None
        ),
    )
    configure_decoders(config.decode_timeout, config.decoders)
    with _stop_signal() as stop:
        outlive = partial(_outlive, config.stuck_seconds)

        def turned() -> None:
            outlive()
            alive()

        Fetcher(config, image_sets).serve(listening, stop, turned)


def _outlive(seconds: float) -> None:
    """Let this process end with a traceback, unless this is called again within `seconds`.

    The timer is a thread of the C library's: it also ends a process in which no Python code gets to run.
    """
    with suppress(RuntimeError, ValueError, OSError):  # no standard error to write to
        faulthandler.dump_traceback_later(seconds, exit=True)


@contextmanager
def _stop_signal() -> Iterator[socket.socket]:
    """A socket that becomes readable at SIGTERM; Ctrl-C and reloads are the business of the master."""
    waking, wake = socket.socketpair()
    wake.setblocking(False)
    with waking, wake:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, partial(_wake, wake))
        yield waking
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wake(wake: socket.socket, *_: object) -> None:
    with suppress(OSError):
        wake.send(b"!")
