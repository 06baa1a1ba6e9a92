"""HealthImaging's own operations, so that a CDN or an AWS SDK can ask them here (healthimaging.md 7.2).

GetImageFrame stands in `tlm.py`. No other operation is passed on.
"""

from hashlib import sha256

import orjson
from flask import Blueprint, Response, request

from dicomweb_gateway.wado.found_sets import found_image_sets
from dicomweb_gateway.wado.image_sets import image_set_document, image_set_properties
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.caching import changing, immutable
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.criteria import parse_criteria, parse_page
from dicomweb_gateway.web.found_pages import page_body, page_start, search_of
from dicomweb_gateway.web.requests import single
from dicomweb_gateway.web.responses import (
    body_response,
    json_response,
    not_modified,
    options_response,
    packed_stream,
)
from dicomweb_gateway.web.service_ids import (
    DATASTORE_RULE,
    IMAGE_SET_RULE,
    check_id,
    check_image_set,
    check_version,
)
from dicomweb_gateway.web.services import services

blueprint = Blueprint("image_sets", __name__)

METADATA_RULE = f"{IMAGE_SET_RULE}/getImageSetMetadata"
PROPERTIES_RULE = f"{IMAGE_SET_RULE}/getImageSet"
SEARCH_RULE = f"{DATASTORE_RULE}/searchImageSets"
_JSON = "application/json"


@blueprint.get(METADATA_RULE, provide_automatic_options=False)
@blueprint.post(METADATA_RULE, provide_automatic_options=False)
def get_image_set_metadata(datastore_id: str, image_set_id: str) -> Response:
    """The metadata document in gzip; that of a named version never changes."""
    check_image_set(datastore_id, image_set_id)
    version_id = check_version(single(request.args, "version"))
    gateway = services()
    document = image_set_document(gateway.archive, datastore_id, image_set_id, version_id)
    caching = (changing if version_id is None else immutable)(gateway.config.cdn_caching)
    etag = strong_etag("metadata", datastore_id, image_set_id, document.version)
    known = None if request.method == "POST" else not_modified(request, etag, caching=caching)
    return known or packed_stream(document.pieces, _JSON, etag, caching)


@blueprint.get(PROPERTIES_RULE, provide_automatic_options=False)
@blueprint.post(PROPERTIES_RULE, provide_automatic_options=False)
def get_image_set(datastore_id: str, image_set_id: str) -> Response:
    """The image set's properties, as HealthImaging tells them now."""
    check_image_set(datastore_id, image_set_id)
    version_id = check_version(single(request.args, "version"))
    gateway = services()
    body = image_set_properties(gateway.archive, datastore_id, image_set_id, version_id)
    caching = changing(gateway.config.cdn_caching)
    etag = strong_etag(sha256(body).hexdigest())
    known = None if request.method == "POST" else not_modified(request, etag, caching=caching)
    return known or body_response(request, [body], _JSON, etag, caching)


@blueprint.post(SEARCH_RULE, provide_automatic_options=False)
def search_image_sets(datastore_id: str) -> Response:
    """One page of a search for image sets, as far as the caller may see them."""
    check_id(datastore_id, "data store")
    most, token = parse_page(request.args)
    criteria = parse_criteria(request.get_data(cache=False))
    note(request, criteria=orjson.loads(criteria))
    gateway = services()
    about = search_of(request, gateway, datastore_id, criteria)
    start = page_start(token, gateway, about)
    found = found_image_sets(gateway.archive, datastore_id, criteria, start, most, about)
    note(request, results=len(found.rows))
    return json_response(request, page_body(found, gateway, about), _JSON)


@blueprint.route(METADATA_RULE, methods=["OPTIONS"])
@blueprint.route(PROPERTIES_RULE, methods=["OPTIONS"])
def image_set_options(datastore_id: str, image_set_id: str) -> Response:
    """What may be asked here, for browsers."""
    return options_response("GET", "HEAD", "POST")


@blueprint.route(SEARCH_RULE, methods=["OPTIONS"])
def search_options(datastore_id: str) -> Response:
    """The same of searches."""
    return options_response("POST")
