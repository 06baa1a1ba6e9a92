"""People who open a page without a login are led to it; scripts and viewers are told 401."""

from urllib.parse import urlencode

from flask import Request, Response

from dicomweb_gateway.access.own_paths import own_path
from dicomweb_gateway.errors import InsufficientScope, Unauthenticated
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.pages import MOUNT
from dicomweb_gateway.web.prefix import prefix_of
from dicomweb_gateway.web.services import Services

_PAGES = (f"{MOUNT}/<page>", "/status")
"""Rules of addresses that people open."""


def to_login(request: Request, rule: str | None, error: Exception, services: Services) -> Response | None:
    """The way to the login for a browser that was to open a page; None for anything else."""
    if rule not in _PAGES or not isinstance(error, Unauthenticated) or isinstance(error, InsufficientScope):
        return None
    return way_to_login(request, services)


def way_to_login(request: Request, services: Services) -> Response | None:
    """To the login and back here, where a person opens the address and browsers can log in; else None."""
    if services.page_login is None or not _opens(request):
        return None
    query = request.environ.get("QUERY_STRING", "")
    wanted = own_path(f"{request.path}?{query}" if query else request.path)
    prefix = prefix_of(root_url(request, services.config))
    address = f"{prefix}/login?{urlencode({'next': wanted})}"
    return Response(status=303, headers=[("Location", address), ("Cache-Control", "no-store")])


def _opens(request: Request) -> bool:
    """Whether a person opens the address, as far as a browser tells."""
    told = request.headers.get("Sec-Fetch-Mode")
    return (
        request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("Accept", "")
        and told in (None, "navigate")
        and "Authorization" not in request.headers
    )
