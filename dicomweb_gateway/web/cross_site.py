"""What changes something must come from a page of ours: what browsers send by themselves proves nothing."""

import hmac
from urllib.parse import urlsplit

from flask import Request

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import READING, Operation
from dicomweb_gateway.access.origins import is_listed, is_loopback_origin
from dicomweb_gateway.access.session_content import PROOF_HEADER
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.errors import CrossSite
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.services import WebConfig

FIELD = "csrf"
_SAFE = ("GET", "HEAD", "OPTIONS")
_AMBIENT = ("none", "basic", "admin", "proxy")
"""Logins that a browser, or a proxy for it, adds to whatever a page has it send."""
_SIMPLE = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""What a page of any site may send without being asked whether it may (Fetch, CORS-safelisted)."""


def check_changes(
    request: Request, operation: Operation, caller: Caller, session: Session | None, config: WebConfig
) -> None:
    """CrossSite for a request that may change something and that another site's page may have caused.

    A session needs the token that its pages know, in a header (or, of a form of ours, a field). Where the
    login is one that browsers add by themselves, or none is asked, a page of another origin must be listed
    or have asked first: then the preflight has decided. Tokens are added by nobody but who has them.
    """
    if request.method in _SAFE or operation in READING:
        return
    if session is not None:
        check_own_origin(request, config)
        check_token(session, request.headers.get(PROOF_HEADER, ""))
    elif caller.mode in _AMBIENT and _kind(request) in _SIMPLE:
        check_own_origin(request, config, loopback=caller.mode == "none")


def check_token(session: Session, told: str) -> None:
    """CrossSite unless `told` is the token of the session's pages."""
    if not hmac.compare_digest(session.csrf.encode(), told.encode("utf-8", "replace")):
        raise CrossSite(f"what changes something needs the session's token (header {PROOF_HEADER})")


def check_own_origin(request: Request, config: WebConfig, loopback: bool = False) -> None:
    """CrossSite where the browser says that another site's page asks, and that is not listed.

    `loopback`: pages of this machine may too.
    """
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site == "same-origin":
        # the browser's own word, which also holds where a proxy has put another Host in the place of ours
        return
    if origin is None:
        if site not in (None, "none"):
            raise CrossSite("another site's page sends this")
        return
    is_listed_one = bool(config.cors_origins) and is_listed(origin, config.cors_origins)
    if _is_own(origin.lower(), request, config) or (loopback and is_loopback_origin(origin)):
        return
    if not is_listed_one or "*" in config.cors_origins:
        raise CrossSite("a page of another origin sends this, and it is not listed (setting CORS_ORIGINS)")


def _is_own(origin: str, request: Request, config: WebConfig) -> bool:
    """Whether a page of ours asks. Where ours come by TLS, one that did not may be anybody's."""
    scheme, _, host = origin.partition("://")
    root = urlsplit(root_url(request, config))
    if host == root.netloc.lower():
        return (scheme, root.scheme) != ("http", "https")
    return host == request.host.lower()


def _kind(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
