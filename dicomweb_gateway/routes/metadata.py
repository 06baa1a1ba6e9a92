"""Metadata of study, series and instance (dicomweb.md 4.3)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.wado.metadata import metadata_array
from dicomweb_gateway.web.compression import accepts_gzip
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.negotiation import negotiate_json
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import parse_path
from dicomweb_gateway.web.responses import json_stream, not_modified
from dicomweb_gateway.web.selection import image_set_versions, selected_instances
from dicomweb_gateway.web.services import services

blueprint = Blueprint("metadata", __name__)


@blueprint.get("/studies/<study>/metadata")
@blueprint.get("/studies/<study>/series/<series>/metadata")
@blueprint.get("/studies/<study>/series/<series>/instances/<instance>/metadata")
def retrieve_metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
    """A JSON array of every instance below the path, in Q-37 order (J-1, W-R6)."""
    gateway = services()
    path = parse_path(study, series, instance)
    chosen = negotiate_json(accepted(request))
    links = base_url(request, gateway.config)
    records = selected_instances(gateway.archive.index, path)
    encoding = "gzip" if accepts_gzip(request.headers.get("Accept-Encoding")) else ""
    versions = image_set_versions(gateway.archive.index, path)
    etag = strong_etag(path.path, links, chosen.media_type, encoding, *versions)
    known = not_modified(request, etag, may_be_encoded=True)
    return known or json_stream(
        request, metadata_array(gateway.archive, records, links), chosen.media_type, etag
    )
