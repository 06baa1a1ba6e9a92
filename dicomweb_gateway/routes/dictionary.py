"""The DICOM data dictionary for pages that name attributes (PS3.6)."""

from functools import cache

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.dictionary import dictionary_rows
from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.negotiation import JSON
from dicomweb_gateway.web.responses import json_response, not_modified

blueprint = Blueprint("dictionary", __name__)


@blueprint.get("/dictionary")
def tell_dictionary() -> Response:
    """Tag in 8 hex digits to keyword, name and VR; the same for everybody, kept for an hour."""
    body, etag = _document()
    response = not_modified(request, etag, may_be_encoded=True) or json_response(request, body, JSON, etag)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@cache
def _document() -> tuple[bytes, str]:
    body = dumps(dictionary_rows())
    return body, strong_etag("dictionary", body.decode())
