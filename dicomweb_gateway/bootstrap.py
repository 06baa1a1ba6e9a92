"""Settings to running parts, for one process; the order of things and its reasons stand in `master.py`."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Semaphore

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.audit_slots import AuditSlots
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.page_login import PageLogin
from dicomweb_gateway.access.page_tokens import PageTokens
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.dicom.spool_space import SpoolSpace
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
from dicomweb_gateway.service.health import HealthProbe
from dicomweb_gateway.service.index_writing import make_index_writer
from dicomweb_gateway.service.live import make_about
from dicomweb_gateway.service.logins import ALONE, LoginsOfAll, make_authenticator
from dicomweb_gateway.service.page_logins import make_admin, with_page_login
from dicomweb_gateway.service.progress_facts import indexer_facts, job_facts
from dicomweb_gateway.service.server_limits import MIN_FREE_BYTES
from dicomweb_gateway.service.session_stores import SessionStores, redis_stores
from dicomweb_gateway.service.upstream import frame_folder, make_image_set_store
from dicomweb_gateway.service.web_config import make_web_config
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
from dicomweb_gateway.web.services import Services
from dicomweb_gateway.web.streams import Streams
from dicomweb_gateway.web.viewer import Viewer, ViewerLogin
from dicomweb_gateway.web.viewer_files import ViewerFiles
from dicomweb_gateway.workflow.arrivals import Arrivals
from dicomweb_gateway.workflow.editing import Editing
from dicomweb_gateway.workflow.sync import Synchroniser

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
    config = make_web_config(settings, port, partial(shared_secret, engine, "multipart-boundary"))
    authenticator, page_login = _logins(
        settings,
        logins,
        partial(shared_secret, engine, "logins"),
        shared,
        SessionStores(SqlSessions(engine), SqlTickets(engine)),
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
            Prefetcher(pool, ahead_bytes=_ahead_bytes(settings)) if settings.prefetch else None,
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
    secret: Callable[[], str],
    shared: SharedCache | None,
    stores: SessionStores,
) -> tuple[Authenticator, PageLogin | None]:
    """Who knows who asks, and how browsers log in; `stores` are those of the database."""
    if not settings.has_login:
        return make_authenticator(settings, logins), None
    key = secret().encode()
    admin = make_admin(settings, key)
    form = BasicLogin(None, admin, logins.failures) if settings.has_admin else None
    authenticator = make_authenticator(settings, logins, admin)
    if settings.session_redis is not None:
        # copies beside it would save nothing, and let logouts hold later
        shared, stores = None, redis_stores(settings.session_redis, key)
    return with_page_login(authenticator, form, settings, stores.sessions, shared, key, stores.tickets)


def _audit_log(settings: Settings) -> AuditLog | None:
    """The log as this process writes it, None where there is none."""
    path = settings.audit_path
    return AuditLog(path, settings.audit_required, AuditSlots.beside(path)) if path else None


def _shared_cache(settings: Settings, secret: Callable[[], str]) -> SharedCache | None:
    """The cache tier of all hosts; its secret is theirs alone, as whoever has it could make up values."""
    if settings.shared_cache is None:
        return None
    return SharedCache(settings.shared_cache, secret().encode())


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
