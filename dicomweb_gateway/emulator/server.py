"""Runs the emulator on waitress, in this process, until it is told to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from waitress.server import create_server
from waitress.wasyncore import close_all

from dicomweb_gateway.emulator.app import create_emulator_app, services_of
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.wire_faults import FaultyChannel
from dicomweb_gateway.errors import SettingsError

THREADS = 160
"""Requests at once; the latency switch sleeps in its thread, so more than clients have in flight."""
_CONNECTIONS = 4096
_BUFFER = 64 << 20


def run_emulator(
    config: EmulatorConfig, host: str, port: int, ready: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the bound port once requests are accepted.

    Port 0 takes a free one. SettingsError when another emulator uses the folder or the port is taken. Signals
    are only taken over in the main thread.
    """
    with serving(config, host, port) as server:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _interrupt)
        if ready is not None:
            ready(server.port)
        server.run()


class EmulatorServer:
    """A bound socket with the emulator behind it; `run` serves until interrupted or until `stop`."""

    def __init__(self, config: EmulatorConfig, host: str, port: int) -> None:
        self._app = create_emulator_app(config)
        self._map: dict[int, Any] = {}
        try:
            self._server: Any = create_server(
                self._app,
                map=self._map,
                host=host,
                port=port,
                threads=THREADS,
                connection_limit=_CONNECTIONS,
                backlog=1024,
                asyncore_use_poll=True,
                # Frames leave from memory: the default sends everything over 1 MB through a temporary file.
                outbuf_overflow=_BUFFER,
                # a request that hangs on purpose must learn that its client has left
                channel_request_lookahead=1,
                clear_untrusted_proxy_headers=True,
                ident="HealthImagingEmulator",
            )
        except OSError as error:
            self._cut()
            services_of(self._app).close()
            raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        for dispatcher in self._map.values():
            if hasattr(dispatcher, "channel_class"):
                dispatcher.channel_class = FaultyChannel

    @property
    def port(self) -> int:
        """The port that is bound; the first one where a host name stands for several addresses."""
        listening = getattr(self._server, "effective_listen", None)
        return int(listening[0][1] if listening else self._server.effective_port)

    def run(self) -> None:
        """Serve; returns after `stop`, or after SIGTERM or SIGINT where they raise in this thread."""
        self._server.run()

    def stop(self) -> None:
        """Make `run` return; safe from any thread. Connections are cut."""
        for dispatcher in list(self._map.values()):
            if hasattr(dispatcher, "pull_trigger"):
                # Another thread's wake-up may have run the cut, and closed the trigger, before ours comes.
                with suppress(OSError):
                    dispatcher.pull_trigger(self._cut)
                return

    def close(self) -> None:
        """Stop importing and give the folder free; for after `run`."""
        self._cut()
        services_of(self._app).mishaps.end()
        self._server.task_dispatcher.shutdown()
        services_of(self._app).close()

    def _cut(self) -> None:
        """Close every socket, whereupon waitress's loop has nothing left to wait for."""
        close_all(self._map, ignore_all=True)


@contextmanager
def serving(config: EmulatorConfig, host: str = "127.0.0.1", port: int = 0) -> Iterator[EmulatorServer]:
    """A server that is closed when the block ends; the caller runs it, in this or another thread."""
    server = EmulatorServer(config, host, port)
    try:
        yield server
    finally:
        server.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """waitress ends its loop on SystemExit and lets its threads finish."""
    raise SystemExit(0)
