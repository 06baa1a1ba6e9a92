"""What the gateway serves: for programs at the base path, for people as a conformance statement (S-2)."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.web.capabilities import ServedPath, capabilities
from dicomweb_gateway.web.conditional import weak_etag
from dicomweb_gateway.web.conformance import conformance_page
from dicomweb_gateway.web.hardening import PAGE_POLICY
from dicomweb_gateway.web.links import base_path, base_url
from dicomweb_gateway.web.negotiation import JSON
from dicomweb_gateway.web.responses import json_response, not_modified
from dicomweb_gateway.web.served import RESOURCES
from dicomweb_gateway.web.services import services

blueprint = Blueprint("capabilities", __name__)

_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")
_METHODS = ("GET", "HEAD", "OPTIONS")
_ALL_METHODS = (*_METHODS, "POST")


@blueprint.route("", methods=["GET", "OPTIONS"], provide_automatic_options=False)
@blueprint.route("/", methods=["GET", "OPTIONS"], provide_automatic_options=False)
def tell_capabilities() -> Response:
    """Resources, media types, transfer syntaxes, search keys and limits as JSON (PS3.18 8.9)."""
    response = _answer(dumps(_document()), JSON)
    response.headers["Allow"] = ", ".join(_METHODS)
    return response


@blueprint.get("/conformance")
def state_conformance() -> Response:
    """The same as a page to read (PS3.2)."""
    response = _answer(conformance_page(_document()).encode(), "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def _answer(body: bytes, media_type: str) -> Response:
    etag = weak_etag(body)
    known = None if request.method == "OPTIONS" else not_modified(request, etag, may_be_encoded=True)
    return known or json_response(request, body, media_type, etag)


def _document() -> dict[str, Any]:
    config = services().config
    return capabilities(_served(base_path(request, config)), config, base_url(request, config))


def _served(base: str) -> Iterator[ServedPath]:
    """Every address below `base` that the app answers, out of its own map."""
    rules = sorted(current_app.url_map.iter_rules(), key=lambda rule: (rule.rule.count("/"), rule.rule))
    for rule in rules:
        resource = RESOURCES.get(rule.endpoint.rpartition(".")[2])
        if resource is not None and rule.rule.startswith(f"{base}/"):
            methods = tuple(name for name in _ALL_METHODS if name in (rule.methods or ()))
            yield ServedPath(_PLACEHOLDER.sub(r"{\1}", rule.rule.removeprefix(base)), methods, resource)
