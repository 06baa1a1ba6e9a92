"""Which web pages may read answers: CORS headers and preflights (dicomweb.md H-1 to H-4)."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from flask import Request, Response

from dicomweb_gateway.access.origins import ANY, is_listed, is_loopback_origin
from dicomweb_gateway.web.cross_site import check_own_origin
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.identity_keys import BY_ADDRESS, SESSION
from dicomweb_gateway.web.parts import LEVEL_ENDS
from dicomweb_gateway.web.pixel_levels import DESCRIPTION
from dicomweb_gateway.web.rights import NOWHERE, PLACE
from dicomweb_gateway.web.services import WebConfig

_ALLOW_HEADERS = (
    "Accept, Authorization, Content-Type, Range, If-None-Match, If-Range, Cache-Control, token, "
    "X-Request-Id, traceparent, tracestate, "
    "amz-sdk-invocation-id, amz-sdk-request, x-amz-content-sha256, x-amz-date, x-amz-security-token, "
    "x-amz-target, x-amz-user-agent"
)
"""With those that AWS's SDK for JavaScript sends where it takes the gateway for HealthImaging (7.2)."""
_EXPOSE_HEADERS = (
    "Content-Type, Content-Length, Content-Range, Content-Location, Accept-Ranges, ETag, Warning, "
    "X-Total-Count, Server-Timing, WWW-Authenticate, Retry-After, "
    f"x-amzn-ErrorType, {LEVEL_ENDS}, {DESCRIPTION}, X-Request-Id"
)
_METHODS = "GET, HEAD, OPTIONS, POST"
_MAX_AGE_SECONDS = 86_400
_LONGEST_ORIGIN = 300
"""Characters; a host name has 253 at most, and origins are remembered."""
_ASKED = "Access-Control-Request-Method"

OriginsOf = Callable[[str | None], tuple[str, ...] | None]
"""By base path the origins that are listed for it, None where it has no list of its own."""


def preflight(request: Request) -> Response | None:
    """The answer to a browser that asks whether it may ask; None for any other request.

    Nobody has logged in for it, since browsers send no credentials along: it tells nothing but the headers
    that `add_cors` adds for allowed origins.
    """
    if request.method != "OPTIONS" or "Origin" not in request.headers or _ASKED not in request.headers:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Allow"] = _METHODS
    add_vary(response, "Origin", _ASKED, "Access-Control-Request-Headers")
    return response


def add_cors(
    request: Request,
    response: Response,
    config: WebConfig,
    origins_of: OriginsOf = lambda _: None,
) -> None:
    """CORS headers for an allowed Origin, on errors too (H-1 to H-4).

    `origins_of` knows base paths that have a list of origins of their own.
    """
    # what a browser's own session shows is for pages of ours alone
    by_session = SESSION in request.environ
    response.headers.add(
        "Cross-Origin-Resource-Policy", "same-origin" if by_session else config.resource_policy
    )
    add_vary(response, "Origin")
    origin = request.environ.get("HTTP_ORIGIN")
    # any page may be open at an address that needs no login
    if origin is None or (BY_ADDRESS in request.environ and not config.cors_origins):
        return
    config = _as_listed_there(request, config, origins_of)
    for name, value in cors_headers(origin, config):
        # not set: to look whether they are there costs more than all else here, and nobody else writes them
        response.headers.add(name, value)
    if request.method == "OPTIONS" and is_allowed_origin(origin, config):
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            response.headers["Access-Control-Allow-Private-Network"] = "true"


def check_origin(request: Request, config: WebConfig, origins_of: OriginsOf) -> None:
    """CrossSite for a page of an origin that is not ours nor allowed while no login is asked (H-1).

    It could not read the answer, but would have it made. Preflights only tell that it may not.
    """
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is None or not config.host_rule_on or request.method == "OPTIONS":
        return
    if not is_allowed_origin(origin, _as_listed_there(request, config, origins_of)):
        check_own_origin(request, config)


def _as_listed_there(request: Request, config: WebConfig, origins_of: OriginsOf) -> WebConfig:
    """`config` with the origins of the base path that `request` goes to."""
    own = origins_of(request.environ.get(PLACE, NOWHERE).ae_path)
    if own is None:
        return config
    # a page that anybody may have written must not come with what the browser knows of the login
    return replace(config, cors_origins=own, cors_credentials=config.cors_credentials and ANY not in own)


def cors_headers(origin: str, config: WebConfig) -> Iterator[tuple[str, str]]:
    """The headers of any answer to a page of `origin`, as it names itself; none where it may not read it."""
    if not is_allowed_origin(origin, config):
        return
    yield "Access-Control-Allow-Origin", origin
    yield "Access-Control-Expose-Headers", _EXPOSE_HEADERS
    if config.cors_credentials:
        yield "Access-Control-Allow-Credentials", "true"


def is_allowed_origin(origin: str, config: WebConfig) -> bool:
    """Whether `origin` is configured.

    Where nothing is: any where a login is asked, as pages get none of the browser's credentials for it.
    Loopback origins where none is asked, and where a proxy logs in: it may know people by their address.
    """
    if len(origin) > _LONGEST_ORIGIN:
        return False
    if config.cors_origins:
        return is_listed(origin, config.cors_origins)
    is_asked_of_pages = not (config.host_rule_on or config.proxy_headers)
    return is_asked_of_pages or is_loopback_origin(origin)
