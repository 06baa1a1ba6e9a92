"""Who may read the answers in a browser: CORS headers and the Host rule (dicomweb.md H-1 to H-4)."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Request, Response

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.parts import LEVEL_ENDS
from dicomweb_gateway.web.services import WebConfig

_ALLOW_HEADERS = "Accept, Authorization, Content-Type, Range, If-None-Match, If-Range, Cache-Control, token"
_EXPOSE_HEADERS = (
    "Content-Type, Content-Length, Content-Range, Content-Location, Accept-Ranges, ETag, Warning, "
    f"X-Total-Count, Server-Timing, WWW-Authenticate, Retry-After, {LEVEL_ENDS}"
)
_METHODS = "GET, HEAD, OPTIONS, POST"
_MAX_AGE_SECONDS = 86_400


def check_host(request: Request, config: WebConfig) -> None:
    """Refuse a foreign Host name while no login is asked; InvalidRequest.

    Else any web page could point its own name at this address and read patients through the browser (H-1).
    A page served from an address literal is served by this machine, so literals are let through.
    """
    if not config.host_rule_on or _is_hostless(request):
        return
    name = _name_in(request.host)
    if not (_is_loopback_name(name) or _is_address(name) or name in config.allowed_hosts):
        raise InvalidRequest(
            "this gateway asks for no login, so it answers only to loopback and configured host names "
            "(setting ALLOWED_HOSTS)"
        )


def _is_hostless(request: Request) -> bool:
    """HTTP/1.0 without Host, as load balancers check health; every browser names the host."""
    return "Host" not in request.headers and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0"


def add_cors(request: Request, response: Response, config: WebConfig) -> None:
    """CORS headers for an allowed Origin, on errors too (H-1 to H-4)."""
    response.headers.add("Cross-Origin-Resource-Policy", "cross-origin")
    add_vary(response, "Origin")
    origin = request.headers.get("Origin")
    if origin is None or not is_allowed_origin(origin, config):
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSE_HEADERS
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)


def is_allowed_origin(origin: str, config: WebConfig) -> bool:
    """Whether `origin` is configured, or, where nothing is configured, a loopback origin."""
    if config.cors_origins:
        return "*" in config.cors_origins or origin in config.cors_origins
    try:
        name = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    return not config.host_rule_on or _is_loopback_name(name)


@lru_cache(maxsize=256)
def _name_in(host: str) -> str:
    """The name in a Host header, lower case; ValueError for a torn address literal."""
    return (urlsplit(f"//{host}").hostname or "").lower()


@lru_cache(maxsize=256)
def _is_loopback_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and _loops(name))


@lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _loops(address: str) -> bool:
    return ip_address(address).is_loopback
