"""The settings that matter to routes, as a value that knows no settings."""

from collections.abc import Callable

from dicomweb_gateway.settings import Settings
from dicomweb_gateway.web.services import WebConfig


def make_web_config(settings: Settings, port: int, secret: Callable[[], str]) -> WebConfig:
    """What routes need; `secret` is behind multipart boundaries where BOUNDARY_KEY is not set."""
    key = settings.boundary_key.get_secret_value() if settings.boundary_key else None
    return WebConfig(
        ae_paths=settings.ae_path,
        public_url=settings.public_url,
        port=port,
        boundary_key=(key or secret()).encode(),
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


def _proxy_headers(settings: Settings) -> tuple[str, ...]:
    """The headers that name whom a proxy has logged in, where that is a login."""
    if "proxy" not in settings.login_modes:
        return ()
    return (settings.proxy_user_header, settings.proxy_groups_header)
