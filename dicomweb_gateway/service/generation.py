"""The children of a gateway as settings say, and their successors when settings are read anew."""

import gc
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.session_content import PROOF_HEADER
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.access.shared_failures import SharedFailures
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.frames.sockets import listen
from dicomweb_gateway.service.board import Board, Row
from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.listening import Listening
from dicomweb_gateway.service.neighbours import Neighbours
from dicomweb_gateway.service.server_limits import MIN_FREE_BYTES, ServerLimits
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.telemetry.meters import SharedMeters, start

_LOG = logging.getLogger(__name__)
WEB, HELPERS, FETCHERS, UPSTREAM = 0, 1, 2, 3
"""In this order children are ended: nobody loses what it still needs."""
_MOST_FETCHERS = 16
"""Fetchers whose numbers are told; a reload may change how many there are."""
_FIXED = ("host", "port", "web_processes", "data_dir", "audit_log")
"""Settings that a running gateway keeps: its sockets, its folder and its logs stand by them."""


class Generations:
    """Makes children. What outlives them is made once: sockets, counts, the board.

    Each fetcher has its door (a socket in `run_dir`) for good: whoever asks it does not notice which process
    answers, and a request that one leaves unanswered is sent again to its successor.
    """

    def __init__(self, listening: Listening, run_dir: Path) -> None:
        self._listening = listening
        self._run_dir = run_dir
        self._counts = SharedCounts(listening.processes)
        self._failures = SharedFailures(listening.processes)
        self._board = Board()
        self._meters = SharedMeters(listening.processes, _MOST_FETCHERS)
        start(self._meters.claim("master"))
        self._doors: list[socket.socket] = []

    def children(self, settings: Settings) -> list[Child]:
        """Fetchers and web processes, not yet started."""
        while len(self._doors) < settings.fetcher_count:
            self._doors.append(listen(str(self._address(len(self._doors)))))
        rows = [self._board.claim(_web_name(number)) for number in range(self._listening.processes)]
        return [
            *(self._fetcher(settings, number) for number in range(settings.fetcher_count)),
            *(self._web(settings, number, rows) for number in range(len(rows))),
        ]

    def helper(self, child: Child) -> Child:
        """`child`, which has no business with clients' connections."""
        child.run = partial(self._run_apart, child.run)
        return child

    def _run_apart(self, run: Callable[[], None]) -> None:
        self._let_go()
        run()

    def _let_go(self, keep: Sequence[socket.socket] = ()) -> None:
        """Close what another child accepts from: a socket is open for as long as anybody holds it."""
        for door in (*self._listening.sockets, *self._doors):
            if door not in keep:
                door.close()

    def _address(self, number: int) -> Path:
        return self._run_dir / f"fetcher-{number}"

    def _fetcher(self, settings: Settings, number: int) -> Child:
        name = f"frame fetcher {number}"
        row = self._board.claim(name)
        return Child(
            name, partial(self._run_fetcher, settings, number, row), order=FETCHERS, renewed=True, row=row
        )

    def _run_fetcher(self, settings: Settings, number: int, row: Row) -> None:
        start(self._meters.claim("fetcher", number))
        door = self._doors[number]
        self._let_go([door])
        from dicomweb_gateway.frames.fetcher_process import run_fetcher
        from dicomweb_gateway.service.upstream import fetcher_config, make_image_set_store

        if number == 0:
            source = make_image_set_store(settings).credentials_source()
            _LOG.info("AWS credentials: %s", source)
        run_fetcher(door, fetcher_config(settings, number), row.alive)

    def _web(self, settings: Settings, number: int, rows: Sequence[Row]) -> Child:
        run = partial(self._run_web, settings, number, rows)
        return Child(
            _web_name(number), run, order=WEB, renewed=True, farewell=signal.SIGUSR2, row=rows[number]
        )

    def _run_web(self, settings: Settings, number: int, rows: Sequence[Row]) -> None:
        # until the imports are done a SIGTERM must simply end this process
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        door = self._listening.door(number)
        self._let_go(self._listening.sockets)
        others = [(self._listening.door(other), row) for other, row in enumerate(rows)]
        neighbours = Neighbours([pair for pair in others if pair[0] is not door])
        from dicomweb_gateway.bootstrap import make_services
        from dicomweb_gateway.service.logins import LoginsOfAll
        from dicomweb_gateway.service.server import serve
        from dicomweb_gateway.web.tracing import start_tracing

        start(self._meters.claim("web", number))
        start_tracing()
        limits = ClientLimits(settings.client_rates, self._counts.claim(number))
        addresses = [str(self._address(one)) for one in range(settings.fetcher_count)]
        logins = LoginsOfAll(self._failures.claim(number), self._run_dir)
        services = make_services(
            settings, addresses, self._listening.port, limits, self._board.trouble, logins
        )
        _LOG.info("web process %d serves %s", number, self._listening.address)
        serve(
            services,
            door,
            settings.web_threads,
            server_limits(settings),
            settings.drain_seconds,
            rows[number].alive,
            neighbours,
        )


def _web_name(number: int) -> str:
    return f"web process {number}"


class Reread:
    """Settings taken anew, and the successors that they give; see `supervision.Supervisor`.

    `read` reads them, `prepare` looks at them and raises SettingsError where a start would be refused.
    """

    def __init__(
        self,
        generations: Generations,
        present: Settings,
        read: Callable[[], Settings],
        prepare: Callable[[Settings], None],
    ) -> None:
        self._generations = generations
        self._present = present
        self._read = read
        self._prepare = prepare

    def __call__(self) -> list[Child]:
        """The successors. SettingsError, one sentence, where what is new cannot be used."""
        settings = self._read()
        for name in _FIXED:
            if getattr(settings, name) != getattr(self._present, name):
                raise SettingsError(f"{name.upper()} has changed, which needs a restart")
        self._prepare(settings)
        _LOG.info("reloading: settings and files are read anew")
        gc.collect()
        return self._generations.children(settings)


def _credentials(settings: Settings) -> tuple[str, ...]:
    """The headers that a login comes in, as waitress names them; () where none is asked."""
    if not settings.has_login:
        return ()
    # a page that stores by its session has the session's proof with it
    names = ["Authorization", "token", PROOF_HEADER]
    if "proxy" in settings.login_modes:
        names.append(settings.proxy_user_header)
    return tuple(name.upper().replace("-", "_") for name in names)


def server_limits(settings: Settings) -> ServerLimits:
    """What a web process lets one connection do."""
    return ServerLimits(
        header_bytes=settings.max_header_bytes,
        header_lines=settings.max_headers,
        url_bytes=settings.max_url_bytes,
        body_bytes=settings.max_body_bytes,
        header_seconds=settings.header_timeout,
        slowest=settings.slowest_client,
        store_paths=settings.ae_path if settings.store_enabled else (),
        store_bytes=settings.store_max_bytes,
        body_folder=settings.spool_folder,
        min_free_bytes=MIN_FREE_BYTES,
        store_credentials=_credentials(settings),
    )
