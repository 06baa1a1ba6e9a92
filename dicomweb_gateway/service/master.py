"""The master process: sockets, then fetchers, then web processes, then only watching.

The order is the point (DESIGN 1): fetchers are forked before any thread, SQL engine or SDK client exists in
this process, and none is ever made here. So this module and all that it imports at its top are light:
numpy, which starts threads on import, and SQLAlchemy and boto3 come in inside the forks only.
"""

import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.rules import read_rules
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.frames.sockets import listen
from dicomweb_gateway.service.audit_activity import audited_run
from dicomweb_gateway.service.cache_claim import CLAIMS
from dicomweb_gateway.service.logins import check_logins, log_logins
from dicomweb_gateway.service.memory import bound_allocator
from dicomweb_gateway.service.run_folder import run_folder
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.service.supervision import Child, Supervisor
from dicomweb_gateway.settings import Settings

_LOG = logging.getLogger(__name__)
_BACKLOG = 1024
_WEB, _HELPERS, _FETCHERS, _UPSTREAM = 0, 1, 2, 3
"""In this order children are ended: nobody loses what it still needs."""


def run_gateway(settings: Settings, listening: Sequence[socket.socket], helpers: Sequence[Child] = ()) -> int:
    """Run until SIGTERM; the exit code. `listening` has one socket per web process, see `listen_tcp`."""
    port = listening[0].getsockname()[1]
    check_logins(settings)
    _prepare(settings)
    _log_start(settings, port)
    counts = SharedCounts(len(listening))
    with audited_run(settings), run_folder() as run_dir:
        addresses = [str(run_dir / f"fetcher-{number}") for number in range(settings.fetcher_count)]
        doors = [listen(address) for address in addresses]
        children = [
            *(_fetcher(settings, number, door) for number, door in enumerate(doors)),
            *helpers,
            *(
                _web(settings, number, door, addresses, port, doors, counts)
                for number, door in enumerate(listening)
            ),
        ]
        gc.collect()
        # what lives until now is never freed: moved out of the collector's sight, its pages stay shared
        gc.freeze()
        return Supervisor(children, reloads=lambda child: child.order == _WEB).run()


def listen_tcp(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` sockets on one address with SO_REUSEPORT; port 0 takes a free one. SettingsError if taken.

    One socket each, because processes on a shared one leave all keep-alive connections to the first.
    """
    sockets: list[socket.socket] = []
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        _refuse_taken(family, kind, protocol, address)
        for _ in range(count):
            made = socket.socket(family, kind, protocol)
            sockets.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((address[0], sockets[0].getsockname()[1] or port, *address[2:]))
            made.listen(_BACKLOG)
    except OSError as error:
        for made in sockets:
            made.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return sockets


def run_once(work: Callable[[], None]) -> int:
    """`work` in a fork of its own, so that what it imports does not stay here; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except SettingsError as error:
            _LOG.error("%s", error)
            code = 2
        except BaseException as error:
            _LOG.error("%s: %s", type(error).__name__, error)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def upstream_child(name: str, command: Sequence[str]) -> Child:
    """A child that becomes `command`, ended after everything that asks it."""
    return Child(name, partial(os.execv, command[0], list(command)), order=_UPSTREAM)


def helper_child(name: str, run: Callable[[], None]) -> Child:
    """A child beside the web processes that ends by itself when its work is done."""
    return Child(name, run, order=_HELPERS, once=True)


def upgrade_index(settings: Settings) -> None:
    """Bring an embedded index up to date, or check that of a database server. Imports SQLAlchemy."""
    from dicomweb_gateway.index.migrate import is_current, is_made_by_aws, upgrade

    if settings.index_url.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        upgrade(settings.index_url)
    elif is_made_by_aws(settings.index_url):
        _LOG.warning("the index has only the tables of the AWS project: see `dicomweb-gateway check`")
    elif not is_current(settings.index_url):
        raise SettingsError("the index is not at this version's schema: run `dicomweb-gateway db upgrade`")


def server_limits(settings: Settings) -> ServerLimits:
    """What a web process lets one connection do."""
    return ServerLimits(
        header_bytes=settings.max_header_bytes,
        header_lines=settings.max_headers,
        url_bytes=settings.max_url_bytes,
        body_bytes=settings.max_body_bytes,
        header_seconds=settings.header_timeout,
        slowest=settings.slowest_client,
    )


def _refuse_taken(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> None:
    """SO_REUSEPORT would share a port with another gateway of the same user: better to say so."""
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _prepare(settings: Settings) -> None:
    # every web process reads them too: what is wrong with them is said once, before any is started
    read_rules(settings.access_rules, settings.ae_path)
    # one BLAS thread: nothing here multiplies matrices, and idle pools cost memory in every process
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    bound_allocator()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 16), hard))
    CLAIMS.claim(settings.whole_cache)
    (settings.cache_folder / "frames").mkdir(mode=0o700, exist_ok=True)


def _log_start(settings: Settings, port: int) -> None:
    _LOG.info("service starting, listening on %s:%d", settings.listen_host, port)
    log_logins(settings)
    if settings.public_url is None:
        _LOG.info("PUBLIC_URL is not set: links follow each request's Host header")


def _fetcher(settings: Settings, number: int, door: socket.socket) -> Child:
    def run() -> None:
        from dicomweb_gateway.frames.fetcher import run_fetcher
        from dicomweb_gateway.service.upstream import fetcher_config, make_image_set_store

        if number == 0:
            source = make_image_set_store(settings).credentials_source()
            _LOG.info("AWS credentials: %s", source)
        run_fetcher(door, fetcher_config(settings, number))

    return Child(f"frame fetcher {number}", run, order=_FETCHERS)


def _web(
    settings: Settings,
    number: int,
    door: socket.socket,
    addresses: Sequence[str],
    port: int,
    others: Sequence[socket.socket],
    counts: SharedCounts,
) -> Child:
    def run() -> None:
        # until the imports are done a SIGTERM must simply end this process
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for fetcher_door in others:
            fetcher_door.close()
        from dicomweb_gateway.bootstrap import make_services
        from dicomweb_gateway.service.server import serve

        limits = ClientLimits(settings.client_rates, counts.claim(number))
        services = make_services(settings, addresses, port, limits)
        _LOG.info("web process %d serves %s:%d", number, settings.listen_host, port)
        serve(services, door, settings.web_threads, server_limits(settings))

    return Child(f"web process {number}", run, order=_WEB)
