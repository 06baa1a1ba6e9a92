"""Headers that keep browsers from taking an answer for more than it is (dicomweb.md H-4)."""

from flask import Request, Response

from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.web.client import known_caller
from dicomweb_gateway.web.services import WebConfig

_ALWAYS = (
    ("X-Content-Type-Options", "x-content-type-options", "nosniff"),
    ("Referrer-Policy", "referrer-policy", "no-referrer"),
)
DOCUMENT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For documents out of files: they are shown, but run nothing, load nothing and are of no origin."""
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
"""For our own pages, which hold no script."""
_ACTIVE = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "text/xsl")


def _keep_private(request: Request, response: Response) -> None:
    """What a login shows is for nobody else, unless a route says on purpose that it may be shared."""
    caller = known_caller(request.environ)
    if caller is None or caller.mode == "none":
        return
    held = response.headers.get("Cache-Control", "")
    if not any(word in held for word in ("private", "no-store", "public")):
        response.headers["Cache-Control"] = f"private, {held}" if held else "private, no-cache"


def harden(request: Request, response: Response, config: WebConfig) -> None:
    """Complete `response`; what a route has set itself stays."""
    headers = response.headers
    # each look into werkzeug's headers walks all of them
    held = {name.lower(): value for name, value in headers}
    for name, key, value in _ALWAYS:
        if key not in held:
            headers.add(name, value)
    _keep_private(request, response)
    kind = held.get("content-type", "").partition(";")[0].strip().lower()
    policy = held.get("content-security-policy")
    if policy is None and kind in _ACTIVE:
        headers.add("Content-Security-Policy", DOCUMENT_POLICY)
    elif policy is not None and "frame-ancestors 'none'" in policy:
        headers.add("X-Frame-Options", "DENY")
    if config.hsts_seconds and _came_by_tls(request, config):
        headers.add("Strict-Transport-Security", f"max-age={config.hsts_seconds}")


def _came_by_tls(request: Request, config: WebConfig) -> bool:
    """Whether a trusted proxy says so."""
    if not is_trusted(request.remote_addr, config.trusted_proxies):
        return False
    told = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return told == "https" or "proto=https" in request.headers.get("Forwarded", "").lower()
