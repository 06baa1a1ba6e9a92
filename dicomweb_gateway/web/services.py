"""What the routes work with: the archive, the search, the health probe and a few plain values."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from os import urandom
from threading import Lock
from typing import Any, Protocol

from flask import Request, current_app, request

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.access.page_login import PageLogin
from dicomweb_gateway.access.page_tokens import PageTokens
from dicomweb_gateway.access.rules import AccessRules
from dicomweb_gateway.index.search import SearchResult
from dicomweb_gateway.qido.attributes import ATTRIBUTES
from dicomweb_gateway.qido.expression import QidoQuery, UidIn
from dicomweb_gateway.sight import Sight
from dicomweb_gateway.stow.store import Storing
from dicomweb_gateway.telemetry.catalogue import Labels, Metric
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.failures import RecentFailures
from dicomweb_gateway.wado.ready_metadata import ReadyMetadata
from dicomweb_gateway.web.caching import CdnCaching
from dicomweb_gateway.web.rights import sight_of
from dicomweb_gateway.web.streams import Streams
from dicomweb_gateway.web.tickets import ticket_of
from dicomweb_gateway.web.viewer import Viewer
from dicomweb_gateway.workflow.editing import Editing

EXTENSION = "dicomweb_gateway"
_STUDY_UID = 0x0020000D

MOST_SIGHTS = 256
"""Sights of which the services are kept; the one that was bound first goes first."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The settings that answers depend on.

    `ae_paths` are base paths such as "/aetitle"; `public_url` is the root that absolute links start with,
    without a base path, None to take it from the request; `boundary_key` keys multipart boundaries (M-6).
    `hard_max_results` and `empty_status` are those of Q-39 and Q-41, `zone` is that of Q-20,
    `fuzzy_phonetic` the switch of Q-27.
    A request waits `request_seconds` in all before its answer begins.
    `cdn_caching` says who may keep answers of HealthImaging's own addresses.
    `host_rule_on` refuses foreign Host names while no login is asked (H-1). `query_token` lets tokens stand
    in the query; `proxy_headers` name the user and the groups that a proxy has logged in, () without such.
    `cors_credentials` lets pages of the listed origins send what the browser knows of the login;
    `resource_policy` is that of H-4. `hsts_seconds`: how long browsers must use TLS, 0: not told.
    A query has at most `max_query_parameters`, a body `max_body_bytes`.
    `metrics_from`: addresses and networks that read the numbers without a login; `server_timing`: answers say
    where the time went; `slow_seconds`: requests that take longer are logged so, 0: none.
    A request that stores has at most `store_max_bytes` and `store_seconds`.
    """

    ae_paths: tuple[str, ...]
    public_url: str | None
    port: int
    boundary_key: bytes
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    host_rule_on: bool = True
    max_results: int = 5000
    hard_max_results: int | None = None
    empty_status: int = 200
    strict_query: bool = False
    zone: tzinfo = UTC
    fuzzy_phonetic: bool = False
    max_frames: int = 1000
    max_retrieve_bytes: int | None = None
    max_rendered_instances: int = 100
    request_seconds: float = 60
    cdn_caching: CdnCaching = "per-caller"
    cors_credentials: bool = False
    resource_policy: str = "cross-origin"
    hsts_seconds: int = 0
    max_query_parameters: int = 1000
    max_body_bytes: int = 1 << 20
    query_token: bool = True
    metrics_from: tuple[str, ...] = ()
    server_timing: bool = True
    slow_seconds: float = 5
    proxy_headers: tuple[str, ...] = ()
    store_max_bytes: int = 2 << 30
    store_seconds: float = 900


class Rules(Protocol):
    """Who may see what; see AccessRules."""

    def sight_of(self, caller: Caller, path: str | None, operation: Operation) -> Sight:
        """What `caller` may see when it does `operation` below the base path `path`."""
        ...

    def origins_of(self, path: str | None) -> tuple[str, ...] | None:
        """Origins of pages that may read what is below `path`, None where CORS_ORIGINS says it."""
        ...


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Why the gateway is not well, None when it is; `notes` tell what is wrong beyond it (upstream)."""

    failing: str | None = None
    notes: tuple[str, ...] = ()


Part = tuple[str, bool, str]
"""A part of the gateway: name, whether it answers, a few words."""


@dataclass(frozen=True, slots=True)
class About:
    """What administrators are told beyond what is counted.

    `started_at` by time.time; `settings`: name, value with secrets masked, whether it was set; `gauges`:
    metrics of this moment with the values of their labels; `jobs` and `indexer` as progress_facts has them.
    """

    version: str = ""
    started_at: float = field(default_factory=time.time)
    settings: tuple[tuple[str, str, bool], ...] = ()
    parts: Callable[[], Sequence[Part]] = tuple
    jobs: Callable[[], dict[str, Any]] = dict
    indexer: Callable[[], dict[str, Any]] = dict
    gauges: Callable[[], Sequence[tuple[Metric, Labels, float]]] = tuple


class Search(Protocol):
    """Answers searches."""

    def __call__(self, query: QidoQuery) -> SearchResult:
        """All that matches, one page of it."""
        ...

    def seen_by(self, sight: Sight) -> "Search":
        """The same, which finds no more than `sight` shows."""
        ...


@dataclass(frozen=True, slots=True)
class _OfStudy:
    """A search that finds nothing beyond one study."""

    inner: Search
    study: str

    def __call__(self, query: QidoQuery) -> SearchResult:
        """Those of its study that match."""
        of_study = UidIn(ATTRIBUTES[_STUDY_UID], (self.study,))
        return self.inner(replace(query, conditions=(*query.conditions, of_study)))

    def seen_by(self, sight: Sight) -> Search:
        """The same, which finds no more than `sight` shows."""
        return _OfStudy(self.inner.seen_by(sight), self.study)


@dataclass(slots=True)
class _Bound:
    """Services by the sight that they are bound to."""

    by_sight: dict[Sight, "Services"] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may use, made once per web process.

    `ready` is there only where links start with a configured URL: no Host header may fill a cache. Routes
    get what is bound to their caller's sight (`seen_by`): then index and search know nothing else, so what
    is found by them, and only that, is read from the caches and stores that all callers share.
    `authenticator` knows who asks, `rules` what they may see. `limits` and `audit` are None where nothing is
    limited or kept a record of. `viewer` is OHIF, where it is served; `page_login` how browsers log in,
    where they do. `page_tokens` open on all hosts alike.
    """

    config: WebConfig
    archive: Archive
    search: Search
    health: Callable[[], HealthReport]
    failures: RecentFailures = field(default_factory=RecentFailures)
    ready: ReadyMetadata | None = None
    streams: Streams = field(default_factory=Streams)
    limits: ClientLimits | None = None
    audit: AuditLog | None = None
    authenticator: Authenticator = field(default_factory=Authenticator)
    about: About = field(default_factory=About)
    rules: Rules = field(default_factory=lambda: AccessRules(()))
    viewer: Viewer | None = None
    storing: Storing | None = None
    editing: Editing | None = None
    page_login: PageLogin | None = None
    page_tokens: PageTokens = field(default_factory=lambda: PageTokens(urandom(32)))
    _bound: _Bound = field(init=False, default_factory=_Bound, compare=False, repr=False)

    def seen_by(self, sight: Sight) -> "Services":
        """These services for a caller who may see no more than `sight`; cheap when asked again."""
        kept = self._bound.by_sight.get(sight)
        if kept is not None:
            return kept
        archive = replace(self.archive, index=self.archive.index.seen_by(sight))
        made = replace(self, archive=archive, search=self.search.seen_by(sight))
        with self._bound.lock:
            made = self._bound.by_sight.setdefault(sight, made)
            if len(self._bound.by_sight) > MOST_SIGHTS:
                del self._bound.by_sight[next(iter(self._bound.by_sight))]
        return made


def services() -> Services:
    """The services of the app that handles the current request, as far as its caller may see."""
    return seen_by_caller(current_app.extensions[EXTENSION], request)


def services_with(sight: Sight) -> Services:
    """The services of the app as far as `sight` shows, for views whose place alone says of no sight."""
    gateway: Services = current_app.extensions[EXTENSION]
    return gateway.seen_by(sight)


def seen_by_caller(gateway: Services, request: Request) -> Services:
    """`gateway` as far as the caller of `request` may see."""
    bound, ticket = gateway.seen_by(sight_of(request)), ticket_of(request)
    return bound if ticket is None else replace(bound, search=_OfStudy(bound.search, ticket.study))
