"""OHIF's configuration for this gateway, and what a browser must be told to let OHIF run and no more."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson

from dicomweb_gateway.web.prefix import prefix_of
from dicomweb_gateway.web.viewer_files import ViewerFiles

MOUNT = "/viewer"
"""Where the viewer is served, below the gateway's root."""

SIGNED_OUT = "/signed-out"
"""Where the provider sends users who have logged out, below MOUNT."""

_SOURCE = "@ohif/extension-default.dataSourcesModule.dicomweb"
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ViewerLogin:
    """As which client, at which OpenID Connect provider, OHIF logs its users in."""

    issuer: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Viewer:
    """OHIF's files, and its login where the gateway takes tokens of a provider."""

    files: ViewerFiles
    login: ViewerLogin | None = None


def mount_of(root: str) -> str:
    """The path of the viewer where the gateway's root is `root`, such as "https://pacs.example.org/imaging"."""
    return prefix_of(root) + MOUNT


def configuration(
    root: str, ae_paths: Sequence[str], login: ViewerLogin | None = None, mount: str | None = None
) -> bytes:
    """`app-config.js`: a data source for each base path of the gateway whose root is `root`.

    `mount` is the path that OHIF is served at, where that is not the gateway's own /viewer.
    """
    names = [path.strip("/").replace("/", "-") for path in ae_paths]
    config: dict[str, Any] = {
        "name": "dicomweb-gateway",
        "routerBasename": mount or mount_of(root),
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 4,
        "maxNumRequests": {"interaction": 100, "thumbnail": 10, "prefetch": 25},
        "showLoadingIndicator": True,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "strictZSpacingForVolumeViewport": True,
        "showErrorDetails": "dev",
        "defaultDataSourceName": names[0] if names else "",
        "dataSources": [
            {
                "namespace": _SOURCE,
                "sourceName": name,
                "configuration": _source(name, f"{root.rstrip('/')}{path}"),
            }
            for name, path in zip(names, ae_paths, strict=True)
        ],
    }
    if login is not None:
        config["oidc"] = [_login(login)]
    return b"window.config = " + orjson.dumps(config, option=orjson.OPT_INDENT_2) + b";\n"


def _source(name: str, base: str) -> dict[str, Any]:
    return {
        "friendlyName": name,
        "name": name,
        "qidoRoot": base,
        "wadoRoot": base,
        "wadoUriRoot": base,
        "qidoSupportsIncludeField": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "supportsReject": False,
        "dicomUploadEnabled": False,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True},
        "omitQuotationForMultipartRequest": True,
    }


def _login(login: ViewerLogin) -> dict[str, Any]:
    """OHIF completes addresses that begin with a slash by the root that it is served at."""
    return {
        "authority": login.issuer,
        "client_id": login.client_id,
        "response_type": "code",
        "scope": " ".join(login.scopes),
        "redirect_uri": "/callback",
        # its path must be none of OHIF's own pages, such as "/" or "/viewer": OHIF looks there too
        "post_logout_redirect_uri": SIGNED_OUT,
        "automaticSilentRenew": True,
    }


def page_headers(page: bytes, login: ViewerLogin | None) -> dict[str, str]:
    """Of the page: its own inline scripts run and no others, WebAssembly and workers too.

    Where OHIF logs in at a provider it speaks to addresses that only the provider's discovery document tells,
    and renews its login in a frame, which a page that is isolated from other origins could not hold.
    """
    hashes = " ".join(
        f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in _INLINE_SCRIPT.findall(page)
    )
    others = "" if login is None else f" {_origin(login.issuer)} https:"
    policy = (
        "default-src 'self'",
        # the image libraries compile functions of their own
        f"script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob: {hashes}",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        f"connect-src 'self' data: blob:{others}",
        f"frame-src 'self' blob:{others}",
        "object-src 'self' blob:",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
    headers = {"Content-Security-Policy": "; ".join(policy), "Cross-Origin-Opener-Policy": "same-origin"}
    if login is None:
        headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    return headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
