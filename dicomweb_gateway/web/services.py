"""What the routes work with: the archive, the search, the health probe and a few plain values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from flask import current_app

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.index.search import SearchResult
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.failures import RecentFailures
from dicomweb_gateway.wado.ready_metadata import ReadyMetadata
from dicomweb_gateway.web.streams import Streams

EXTENSION = "dicomweb_gateway"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The settings that answers depend on.

    `ae_paths` are base paths such as "/aetitle"; `public_url` is the root that absolute links start with,
    without a base path, None to take it from the request; `boundary_key` keys multipart boundaries (M-6).
    `hard_max_results` and `empty_status` are those of Q-39 and Q-41, `zone` is that of Q-20,
    `fuzzy_phonetic` the switch of Q-27.
    A request waits `request_seconds` in all before its answer begins.
    `host_rule_on` refuses foreign Host names while no login is asked (H-1). `cors_credentials` lets pages of
    the listed origins send what the browser knows of the login; `resource_policy` is that of H-4.
    `hsts_seconds`: how long browsers that came by TLS must, 0 for not at all. A query has at most
    `max_query_parameters`, a body `max_body_bytes`.
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
    cors_credentials: bool = False
    resource_policy: str = "cross-origin"
    hsts_seconds: int = 0
    max_query_parameters: int = 1000
    max_body_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Why the gateway is not well, None when it is; `notes` tell what is wrong beyond it (upstream)."""

    failing: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may use, made once per web process.

    `ready` is there only where links start with a configured URL: no Host header may fill a cache.
    `limits` and `audit` are None where nothing is limited or kept a record of.
    """

    config: WebConfig
    archive: Archive
    search: Callable[[QidoQuery], SearchResult]
    health: Callable[[], HealthReport]
    failures: RecentFailures = field(default_factory=RecentFailures)
    ready: ReadyMetadata | None = None
    streams: Streams = field(default_factory=Streams)
    limits: ClientLimits | None = None
    audit: AuditLog | None = None


def services() -> Services:
    """The services of the app that handles the current request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
