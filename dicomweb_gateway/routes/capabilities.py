"""What the gateway serves: for programs at the base path, for people as a conformance statement (S-2)."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.web.capabilities import ServedPath, capabilities
from dicomweb_gateway.web.conditional import weak_etag
from dicomweb_gateway.web.conformance import conformance_page
from dicomweb_gateway.web.links import base_path, base_url
from dicomweb_gateway.web.negotiation import JSON
from dicomweb_gateway.web.responses import json_response
from dicomweb_gateway.web.served import RESOURCES
from dicomweb_gateway.web.services import services

blueprint = Blueprint("capabilities", __name__)

_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")
_METHODS = ("GET", "HEAD", "OPTIONS")


@blueprint.route("/", methods=["GET", "OPTIONS"], provide_automatic_options=False)
def tell_capabilities() -> Response:
    """Resources, media types, transfer syntaxes, search keys and limits as JSON (PS3.18 8.9)."""
    body = dumps(_document())
    response = json_response(request, body, JSON, weak_etag(body))
    response.headers["Allow"] = ", ".join(_METHODS)
    return response


@blueprint.get("/conformance")
def state_conformance() -> Response:
    """The same as a page to read (PS3.2)."""
    body = conformance_page(_document()).encode()
    response = json_response(request, body, "text/html; charset=utf-8", weak_etag(body))
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def _document() -> dict[str, Any]:
    config = services().config
    return capabilities(_served(base_path(request, config)), config, base_url(request, config))


def _served(base: str) -> Iterator[ServedPath]:
    """Every address below `base` that the app answers, out of its own map."""
    rules = sorted(current_app.url_map.iter_rules(), key=lambda rule: (rule.rule.count("/"), rule.rule))
    for rule in rules:
        resource = RESOURCES.get(rule.endpoint.rpartition(".")[2])
        if resource is not None and rule.rule.startswith(f"{base}/"):
            methods = tuple(name for name in _METHODS if name in (rule.methods or ()))
            yield ServedPath(_PLACEHOLDER.sub(r"{\1}", rule.rule.removeprefix(base)), methods, resource)
