"""The master process: sockets, then fetchers, then web processes, then only watching.

The order is the point (DESIGN 1): fetchers are forked before any thread, SQL engine or SDK client exists in
this process, and none is ever made here. Modules may be imported, once for all children, nothing is begun;
numpy starts no threads, because the command asks for one BLAS thread before anything is imported.
"""

import gc
import logging
import os
import resource
from collections.abc import Callable, Sequence
from functools import partial

from dicomweb_gateway.access.rules import read_rules
from dicomweb_gateway.errors import IndexUnavailable, SettingsError
from dicomweb_gateway.service.audit_activity import audited_run
from dicomweb_gateway.service.cache_claim import CLAIMS
from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.generation import HELPERS, UPSTREAM, Generations, Reread
from dicomweb_gateway.service.listening import Listening
from dicomweb_gateway.service.logins import check_logins, log_logins
from dicomweb_gateway.service.logs import set_up_access_log, set_up_logging
from dicomweb_gateway.service.memory import bound_allocator
from dicomweb_gateway.service.notify import Notifier
from dicomweb_gateway.service.pid_file import pid_file, pid_path
from dicomweb_gateway.service.reports import Reports
from dicomweb_gateway.service.run_folder import run_folder
from dicomweb_gateway.service.supervision import Supervisor
from dicomweb_gateway.settings import Settings

_LOG = logging.getLogger(__name__)
_GRACE = 5.0
"""Seconds that a child has beyond what it may take to finish what is under way."""


def run_gateway(
    settings: Settings,
    listening: Listening,
    read: Callable[[], Settings],
    helpers: Sequence[Child] = (),
    notifier: Notifier | None = None,
) -> int:
    """Run until SIGTERM; the exit code. At SIGHUP `read` gives the settings anew."""
    _check(settings)
    _prepare(settings)
    set_up_access_log(settings.access_log)
    _log_start(settings, listening)
    with (
        audited_run(settings) as child_ended,
        run_folder() as run_dir,
        pid_file(pid_path(settings.data_dir, listening.port)) as file,
    ):
        generations = Generations(listening, run_dir)
        children = generations.children(settings)
        # the helpers ask the fetchers nothing, and what asks the helpers' upstream comes after them
        children[settings.fetcher_count : settings.fetcher_count] = map(generations.helper, helpers)
        gc.collect()
        # what lives until now is never freed: moved out of the collector's sight, its pages stay shared
        gc.freeze()
        return Supervisor(
            children,
            Reread(generations, settings, read, _prepare_anew),
            settings.drain_seconds + _GRACE,
            Reports(notifier, file, f"serving {listening.address}"),
            listening.end,
            child_ended,
        ).run()


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
    return Child(name, partial(os.execv, command[0], list(command)), order=UPSTREAM)


def helper_child(name: str, run: Callable[[], None]) -> Child:
    """A child beside the web processes that ends by itself when its work is done."""
    return Child(name, run, order=HELPERS, once=True)


def open_index(settings: Settings) -> None:
    """`upgrade_index`, with a warning of what only documents tell yet. Imports SQLAlchemy."""
    from dicomweb_gateway.service.unread import unread_by_narrow

    upgrade_index(settings)
    try:
        rules = read_rules(settings.access_rules, settings.ae_path)
        unread = unread_by_narrow(rules, settings.allowed_datastores, settings.index_url)
    except IndexUnavailable:
        # the service says so itself
        return
    if unread is not None:
        _LOG.warning("%s", unread)


def upgrade_index(settings: Settings) -> None:
    """Bring an embedded index up to date, or check that of a database server. Imports SQLAlchemy."""
    from dicomweb_gateway.index.migrate import (
        Standing,
        current_revision,
        is_made_by_aws,
        standing_of,
        upgrade,
    )

    if settings.index_url.startswith("sqlite"):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        upgrade(settings.index_url)
        return
    if is_made_by_aws(settings.index_url):
        _LOG.warning("the index has only the tables of the AWS project: see `dicomweb-gateway check`")
        return
    revision = current_revision(settings.index_url)
    standing = standing_of(revision)
    if standing is Standing.BEHIND:
        raise SettingsError("the index is not at this version's schema: run `dicomweb-gateway db upgrade`")
    told = f"the index is at revision {revision}: {standing.value}"
    if not standing.is_served:
        raise SettingsError(told)
    if standing is Standing.NEWER:
        _LOG.info("%s", told)


def _check(settings: Settings) -> None:
    """SettingsError where files that settings name cannot be used.

    Every web process reads them too: what is wrong with them is said once, before any is started.
    """
    check_logins(settings)
    read_rules(settings.access_rules, settings.ae_path)


def _prepare_anew(settings: Settings) -> None:
    """As at a start, for a reload."""
    _check(settings)
    if run_once(partial(open_index, settings)):
        raise SettingsError("the index cannot be used, the log says why")
    _prepare(settings)
    set_up_access_log(settings.access_log)
    set_up_logging(settings.log_level, settings.log_format)


def _prepare(settings: Settings) -> None:
    bound_allocator()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 16), hard))
    CLAIMS.claim(settings.whole_cache)
    (settings.cache_folder / "frames").mkdir(mode=0o700, exist_ok=True)


def _log_start(settings: Settings, listening: Listening) -> None:
    _LOG.info("service starting, listening on %s", listening.address)
    log_logins(settings)
    if settings.public_url is None:
        _LOG.info("PUBLIC_URL is not set: links follow each request's Host header")
