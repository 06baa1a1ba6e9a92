"""Settings to running parts, for one process; the order of things and its reasons stand in `master.py`."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock, Semaphore, Thread
from time import monotonic

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.audit_slots import AuditSlots
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.page_login import PageLogin
from dicomweb_gateway.access.page_tokens import PageTokens
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import GatewayError, UpstreamDenied, UpstreamError
from dicomweb_gateway.frames.first_levels import FirstLevels
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.editing import ImageSetUpdates
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.job_list import JobList
from dicomweb_gateway.imagesets.shared_documents import SharedDocuments
from dicomweb_gateway.imagesets.storing import DicomStore
from dicomweb_gateway.index.changes import IndexChanges
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.ledger import failures, sync_runs
from dicomweb_gateway.index.owners import IndexOwners
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.secrets import shared_secret
from dicomweb_gateway.index.server_locks import ServerLocks
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.index.tickets import SqlTickets
from dicomweb_gateway.pixels.guarded import configure_decoders
from dicomweb_gateway.pixels.turns import DecodeTurns
from dicomweb_gateway.service.beside import Beside
from dicomweb_gateway.service.index_writing import make_index_writer
from dicomweb_gateway.service.live import make_about
from dicomweb_gateway.service.logins import ALONE, LoginsOfAll, make_authenticator
from dicomweb_gateway.service.page_logins import make_admin, with_page_login
from dicomweb_gateway.service.progress_facts import indexer_facts, job_facts
from dicomweb_gateway.service.server_limits import MIN_FREE_BYTES
from dicomweb_gateway.service.upstream import frame_folder, make_image_set_store
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.shared.cache import SharedCache
from dicomweb_gateway.sight import EVERYTHING
from dicomweb_gateway.stow.newcomers import Newcomers
from dicomweb_gateway.stow.store import Storing
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.failures import RecentFailures
from dicomweb_gateway.wado.kept_pictures import KeptPictures
from dicomweb_gateway.wado.kept_searches import KeptSearches
from dicomweb_gateway.wado.prefetch import Prefetcher
from dicomweb_gateway.wado.ready_metadata import ReadyMetadata
from dicomweb_gateway.web.services import HealthReport, Part, Services, WebConfig
from dicomweb_gateway.web.streams import Streams
from dicomweb_gateway.web.viewer import Viewer, ViewerLogin
from dicomweb_gateway.web.viewer_files import ViewerFiles
from dicomweb_gateway.workflow.arrivals import Arrivals
from dicomweb_gateway.workflow.editing import Editing
from dicomweb_gateway.workflow.progress import read_progress
from dicomweb_gateway.workflow.sync import Synchroniser

_LOG = logging.getLogger(__name__)
_UPSTREAM_PROBE_SECONDS = 15
_JOBS_SECONDS = 10
_INDEXER_SECONDS = 5
_AHEAD_BYTES = 128 << 20


def make_services(
    settings: Settings,
    fetcher_addresses: Sequence[str],
    port: int,
    limits: ClientLimits | None = None,
    trouble: Callable[[], str | None] = lambda: None,
    logins: LoginsOfAll = ALONE,
) -> Services:
    """The parts of one web process, made after the fork: engine and SDK client do not survive one.

    `limits` count clients over all web processes; None: nothing is counted. `trouble` says what troubles the
    master, None for nothing. `logins` are what all web processes know of them.
    """
    configure_decoders(settings.decode_timeout, settings.decoder_count)
    engine = make_engine(settings.index_url, statement_timeout=settings.db_statement_timeout)
    image_sets = make_image_set_store(settings)
    shared = _shared_cache(settings, partial(shared_secret, engine, "shared-cache"))
    documents = DocumentCache(
        image_sets,
        settings.cache_folder / "metadata",
        ttl=settings.metadata_ttl,
        waiting=settings.web_threads * 3 // 4,
        timeout=settings.frame_timeout,
        tier=SharedDocuments(shared) if shared is not None else None,
    )
    source = CachedImageSets(image_sets, documents)
    synchroniser = _synchroniser(settings, image_sets)
    sight = EVERYTHING.within(settings.allowed_datastores)
    changes = IndexChanges(settings.cache_folder / "index-changes")
    index = IndexReader(
        engine,
        settings.index_cache_seconds,
        source,
        settings.metadata_ttl,
        sight,
        changes,
    )
    store = FrameStore(frame_folder(settings))
    pool = FramePool(fetcher_addresses, store, settings.frame_timeout)
    key = settings.boundary_key.get_secret_value() if settings.boundary_key else None
    config = WebConfig(
        ae_paths=settings.ae_path,
        public_url=settings.public_url,
        port=port,
        boundary_key=(key or shared_secret(engine, "multipart-boundary")).encode(),
        trusted_proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.answered_hosts,
        host_rule_on=not settings.has_login,
        query_token=settings.query_token,
        proxy_headers=_proxy_headers(settings),
        metrics_from=settings.metrics_from,
        server_timing=settings.server_timing,
        slow_seconds=settings.slow_request_seconds,
        max_results=settings.max_results,
        hard_max_results=settings.hard_max_results,
        empty_status=settings.empty_status,
        strict_query=settings.strict_query,
        zone=settings.zone,
        fuzzy_phonetic=settings.fuzzy_phonetic,
        max_frames=settings.max_frames_per_request,
        max_retrieve_bytes=settings.max_retrieve_bytes,
        max_rendered_instances=settings.max_rendered_instances,
        request_seconds=settings.frame_timeout,
        cdn_caching=settings.who_may_cache,
        cors_credentials=settings.cors_credentials,
        resource_policy=settings.cross_origin_resource_policy,
        hsts_seconds=settings.hsts_seconds,
        max_query_parameters=settings.max_query_parameters,
        max_body_bytes=settings.max_body_bytes,
        store_max_bytes=settings.store_max_bytes,
        store_seconds=settings.store_timeout,
    )
    authenticator, page_login = _logins(
        settings,
        logins,
        SqlSessions(engine),
        partial(shared_secret, engine, "logins"),
        shared,
        SqlTickets(engine),
    )
    rules = RulesFile(settings.access_rules, settings.ae_path)
    audit = _audit_log(settings)
    allowed = settings.allowed_datastores
    stores = image_sets.data_store_ids if allowed is None else lambda: allowed
    health = HealthProbe(
        index,
        pool,
        Path(store.root),
        image_sets,
        settings.data_dir,
        audit,
        trouble,
        shared,
        lambda: tuple(one for one in (*authenticator.troubles(), rules.trouble) if one),
    )
    return Services(
        config=config,
        archive=Archive(
            index,
            documents,
            pool,
            Prefetcher(index, pool, ahead_bytes=_ahead_bytes(settings)) if settings.prefetch else None,
            spools=SpoolSpace(settings.spool_folder, MIN_FREE_BYTES),
            first_levels=FirstLevels(settings.level_bytes),
            passed_on=image_sets.passed_on,
            shared=shared,
            searches=KeptSearches(shared),
            turns=_decode_turns(settings),
            pictures=KeptPictures(settings.cache_folder / "rendered", settings.rendered_cache_bytes),
        ),
        search=IndexSearch(
            engine,
            sight,
            settings.index_cache_seconds,
            source,
            settings.metadata_ttl,
        ),
        health=health.report,
        about=make_about(
            settings,
            pool,
            health.report,
            health.parts,
            Beside(partial(job_facts, JobList(image_sets.asking), stores), _JOBS_SECONDS),
            Beside(
                partial(indexer_facts, partial(sync_runs, engine), partial(failures, engine), allowed),
                _INDEXER_SECONDS,
            ),
        ),
        failures=RecentFailures(settings.cache_folder / "failures"),
        ready=ReadyMetadata(settings.cache_folder / "ready") if settings.public_url else None,
        streams=Streams(settings.stream_count),
        limits=limits,
        audit=audit,
        rules=rules,
        authenticator=authenticator,
        page_login=page_login,
        viewer=_viewer(settings),
        page_tokens=PageTokens(shared_secret(engine, "page-tokens").encode()),
        storing=_storing(
            settings, image_sets, IndexOwners(engine), ServerLocks(engine), changes, synchroniser
        ),
        editing=Editing(ImageSetUpdates(image_sets.asking), synchroniser, changes.note)
        if settings.store_enabled
        else None,
    )


def _synchroniser(settings: Settings, image_sets: HealthImaging) -> Callable[[], Synchroniser]:
    """What brings the index up to date; it is opened for writing by the first who stores or edits."""

    @cache
    def synchroniser() -> Synchroniser:
        allowed = settings.allowed_datastores
        return Synchroniser(make_index_writer(settings), image_sets, allowed=allowed)

    return synchroniser


def _storing(
    settings: Settings,
    image_sets: HealthImaging,
    owners: IndexOwners,
    locks: ServerLocks,
    changes: IndexChanges,
    synchroniser: Callable[[], Synchroniser],
) -> Storing | None:
    """What STOW-RS needs."""
    if not settings.store_enabled:
        return None

    arrivals = Arrivals(synchroniser, image_sets.image_sets_of_study, owners.missing, changes.note)
    return Storing(
        DicomStore(settings.ahi_endpoint, settings.ahi_region, settings.ahi_dicomweb_endpoint),
        owners,
        arrivals.index,
        image_sets.data_store_ids,
        settings.store_datastore_id,
        settings.allowed_datastores,
        settings.store_max_parts,
        newcomers=Newcomers(settings.cache_folder / "store-locks", locks.alone),
        catch_up=arrivals.catch_up,
        refresh=arrivals.refresh,
        space=SpoolSpace(settings.spool_folder, MIN_FREE_BYTES),
        turns=Semaphore(settings.web_threads // 2),
    )


def _logins(
    settings: Settings,
    logins: LoginsOfAll,
    sessions: SqlSessions,
    secret: Callable[[], str],
    shared: SharedCache | None,
    tickets: SqlTickets,
) -> tuple[Authenticator, PageLogin | None]:
    """Who knows who asks, and how browsers log in."""
    if not settings.has_login:
        return make_authenticator(settings, logins), None
    key = secret().encode()
    admin = make_admin(settings, key)
    form = BasicLogin(None, admin, logins.failures) if settings.has_admin else None
    authenticator = make_authenticator(settings, logins, admin)
    return with_page_login(authenticator, form, settings, sessions, shared, key, tickets)


def _audit_log(settings: Settings) -> AuditLog | None:
    """The log as this process writes it, None where there is none."""
    path = settings.audit_path
    return AuditLog(path, settings.audit_required, AuditSlots.beside(path)) if path else None


def _shared_cache(settings: Settings, secret: Callable[[], str]) -> SharedCache | None:
    """The cache tier of all hosts; its secret is theirs alone, as whoever has it could make up values."""
    if settings.shared_cache is None:
        return None
    return SharedCache(settings.shared_cache, secret().encode())


def _proxy_headers(settings: Settings) -> tuple[str, ...]:
    """The headers that name whom a proxy has logged in, where that is a login."""
    if "proxy" not in settings.login_modes:
        return ()
    return (settings.proxy_user_header, settings.proxy_groups_header)


def _viewer(settings: Settings) -> Viewer | None:
    """OHIF, where a folder of it is configured."""
    if settings.ohif_dist is None:
        return None
    login = None
    if "oidc" in settings.login_modes and settings.issuer and settings.viewer_client:
        login = ViewerLogin(settings.issuer, settings.viewer_client, settings.viewer_scopes)
    return Viewer(ViewerFiles(settings.ohif_dist), login)


def _ahead_bytes(settings: Settings) -> int:
    """How much one viewer's prefetch may weigh: so little of the frame store that others have room too."""
    return min(_AHEAD_BYTES, settings.frame_store_bytes // 8)


def _decode_turns(settings: Settings) -> DecodeTurns:
    """Of a web process; an eighth of its threads never decodes or waits for it."""
    most = settings.web_threads - max(1, settings.web_threads // 8)
    return DecodeTurns(settings.decoder_count, most, settings.decode_timeout)


class CachedImageSets:
    """What the index asks of HealthImaging for rows that only the AWS Lambda wrote."""

    def __init__(self, image_sets: HealthImaging, documents: DocumentCache) -> None:
        self.properties = image_sets.image_set
        self.document = documents.get


class HealthProbe:
    """Asks the parts whether they answer; HealthImaging is looked at in the background (DESIGN 4)."""

    def __init__(
        self,
        index: IndexReader,
        pool: FramePool,
        frames: Path,
        image_sets: HealthImaging,
        data_dir: Path,
        audit: AuditLog | None = None,
        trouble: Callable[[], str | None] = lambda: None,
        shared: SharedCache | None = None,
        files: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """`trouble` is the master's; `files` says what is wrong with files of logins and rules."""
        self._trouble = trouble
        self._shared = shared
        self._files = files
        self._index = index
        self._pool = pool
        self._frames = frames
        self._image_sets = image_sets
        self._data_dir = data_dir
        self._audit = audit
        self._lock = Lock()
        self._asked_at = float("-inf")
        self._upstream_note: str | None = None

    def report(self) -> HealthReport:
        """What fails first: index, frame store, fetchers, a process, or an import that `demo` still does."""
        for name, fine, detail in self._asked():
            if not fine:
                _LOG.warning("health: %s: %s", name, detail)
                return HealthReport(failing=f"{name}: {detail}" if detail else name)
        trouble = self._trouble()
        if trouble is not None:
            return HealthReport(failing=trouble)
        progress = read_progress(self._data_dir)
        if progress is not None:
            return HealthReport(failing=f"importing {progress.done} of {progress.total}")
        self._look_upstream()
        unwritten = self._audit.trouble if self._audit is not None else None
        if unwritten is not None and self._audit is not None and self._audit.is_required:
            return HealthReport(failing=unwritten)
        # everybody reads this: which server it is stands in `parts`
        down = "the shared cache is down, all is served without it" if self._down else None
        notes = (self._upstream_note, unwritten, down, *self._files())
        return HealthReport(notes=tuple(note for note in notes if note))

    @property
    def _down(self) -> tuple[str, ...]:
        """Servers of the shared cache that do not answer: all is served without them."""
        return self._shared.down if self._shared is not None else ()

    def parts(self) -> tuple[Part, ...]:
        """Each part by itself; HealthImaging as it was when it was last looked at."""
        self._look_upstream()
        trouble = self._audit.trouble if self._audit is not None else None
        restless = self._trouble()
        return (
            *self._asked(),
            ("processes", restless is None, restless or ""),
            ("HealthImaging", self._upstream_note is None, self._upstream_note or ""),
            *([("audit log", trouble is None, trouble or "")] if self._audit is not None else []),
            *([("shared cache", not self._down, ", ".join(self._down))] if self._shared is not None else []),
            *(("files", False, one) for one in self._files()),
        )

    def _asked(self) -> Iterator[Part]:
        """The parts without which nothing can be served."""
        for name, check in (
            ("index", self._index.ping),
            ("frame store", self._check_frame_store),
            ("fetchers", self._pool.ping),
        ):
            try:
                check()
                yield name, True, ""
            except GatewayError as error:
                yield name, False, str(error)
            except OSError:
                yield name, False, ""

    def _check_frame_store(self) -> None:
        """OSError when the store's folder cannot be listed."""
        next(self._frames.iterdir(), None)

    def _look_upstream(self) -> None:
        """Ask HealthImaging at most every 15 s, without making the caller wait."""
        with self._lock:
            if monotonic() - self._asked_at < _UPSTREAM_PROBE_SECONDS:
                return
            self._asked_at = monotonic()
        Thread(target=self._ask_upstream, daemon=True).start()

    def _ask_upstream(self) -> None:
        if self._shared is not None:
            self._shared.look()
        try:
            self._image_sets.ping()
            self._upstream_note = None
        except UpstreamDenied:
            # the gateway needs no ListDatastores right; a refusal shows that HealthImaging is there
            self._upstream_note = None
        except UpstreamError as error:
            self._upstream_note = f"HealthImaging does not answer: {type(error).__name__}"
