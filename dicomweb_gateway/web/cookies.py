"""Cookies of browsers that log in: by names and attributes that no other site can set or read."""

from flask import Request, Response

from dicomweb_gateway.access.urls import is_loopback
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.identity_keys import REPEATED
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.prefix import prefix_of
from dicomweb_gateway.web.services import WebConfig

SESSION = "dicomweb-session"
"""Holds a session's id."""
BROWSER = "dicomweb-login"
"""Holds a random value of the browser's own, which binds logins to it."""
_MARK = "dicomweb-"


def cookie(request: Request, config: WebConfig, name: str) -> str:
    """The value of our cookie `name`; "" without it, and where it came twice: one may be a stranger's."""
    header = request.environ.get("HTTP_COOKIE", "")
    if _MARK not in header or "HTTP_COOKIE" in request.environ.get(REPEATED, ()):
        return ""
    full = _full_name(root_url(request, config), name)
    if full is None:
        return ""
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    values = [value for key, _, value in pairs if key == full]
    return values[0] if len(values) == 1 else ""


def check_cookies(request: Request, config: WebConfig) -> None:
    """InvalidRequest for what came by plain http from elsewhere: a cookie would be there for all to see.

    Also for a page under TLS where we know of none, and would take a proxy's Host for this machine's.
    """
    root = root_url(request, config)
    is_page_under_tls = request.headers.get("Origin", "").lower().startswith("https:")
    if _full_name(root, SESSION) is None or (is_page_under_tls and not root.startswith("https:")):
        raise InvalidRequest(
            "logging in needs https: let a proxy with TLS stand in front, and name its address in PUBLIC_URL "
            "or the proxy in TRUSTED_PROXIES"
        )


def set_cookie(request: Request, response: Response, config: WebConfig, name: str, value: str) -> None:
    """Have the browser keep `value` until it ends, "" to forget it.

    Raises what `check_cookies` does.
    """
    check_cookies(request, config)
    root = root_url(request, config)
    full = _full_name(root, name) or ""
    response.set_cookie(
        full,
        value,
        max_age=None if value else 0,
        path="/",
        secure=root.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def _full_name(root: str, name: str) -> str | None:
    """Under TLS with the prefix that browsers take from this host alone, whole and secure.

    On this machine, by plain http, with the port, since gateways on several ports share their cookies, and so
    do those at several paths of a site: a path of ours is in it too. None for plain http from elsewhere.
    """
    scheme, _, rest = root.partition("://")
    name += prefix_of(root).replace("/", "-")
    if scheme == "https":
        return f"__Host-{name}"
    host = rest.partition("/")[0]
    bare, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
    bare = bare.strip("[]").lower()
    return f"{name}-{port}" if is_loopback(bare) or bare.endswith(".localhost") else None
