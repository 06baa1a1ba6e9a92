"""Absolute links: where this gateway is reached from outside (dicomweb.md C-8, V-6)."""

import re

from flask import Request

from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.web.services import WebConfig

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def base_path(request: Request, config: WebConfig) -> str:
    """The base path (such as "/aetitle") under which the request came in: the longest that fits."""
    path = request.path
    fitting = [one for one in config.ae_paths if path == one or path.startswith(f"{one}/")]
    return max(fitting, key=len, default=config.ae_paths[0])


def base_url(request: Request, config: WebConfig) -> str:
    """Absolute URL of the DICOMweb base path, without a trailing slash.

    From the configured public URL; else from the forwarding headers of a trusted proxy; else from Host,
    completed with the listening port when a direct peer left it out (V-6).
    """
    return root_url(request, config) + base_path(request, config)


def root_url(request: Request, config: WebConfig) -> str:
    """Absolute URL of the gateway's root, without a trailing slash."""
    if config.public_url:
        return config.public_url.rstrip("/")
    if is_trusted(request.remote_addr, config.trusted_proxies):
        scheme, host, prefix = _forwarded(request)
        return f"{scheme}://{host}{prefix}"
    return f"{request.scheme}://{_with_port(request.host, request.scheme, config.port)}"


def _with_port(host: str, scheme: str, port: int) -> str:
    """`host` with the listening port when it has none and the port is not the scheme's own."""
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    return host if ":" in bare or port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}"


def _forwarded(request: Request) -> tuple[str, str, str]:
    """(scheme, host, prefix) by Forwarded (RFC 7239), else by X-Forwarded-*, first hop.

    What is no scheme of HTTP's, no host or no plain path is not believed: many a proxy passes on what its
    client wrote. `prefix` begins with a slash and does not end with one.
    """
    fields = {}
    for pair in request.headers.get("Forwarded", "").partition(",")[0].split(";"):
        name, _, value = pair.strip().partition("=")
        fields[name.lower()] = value.strip('"')

    def header(name: str) -> str:
        return request.headers.get(name, "").partition(",")[0].strip()

    scheme = (fields.get("proto") or header("X-Forwarded-Proto")).lower()
    if scheme not in _DEFAULT_PORTS:
        scheme = request.scheme
    told = fields.get("host") or header("X-Forwarded-Host")
    host = told if _HOST.fullmatch(told) else request.host
    prefix = header("X-Forwarded-Prefix").strip("/")
    if not _PREFIX.fullmatch(prefix):
        prefix = ""
    return scheme, host, prefix and f"/{prefix}"
