"""Bulk data behind our BulkDataURIs (dicomweb.md 4.5)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.routes.frames import frames_response
from dicomweb_gateway.wado.archive import version_of
from dicomweb_gateway.wado.bulkdata import bulk_value, parse_bulk_path
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.documents import shield
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.negotiation import negotiate_bulk
from dicomweb_gateway.web.parts import Part, represented
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.services import services

blueprint = Blueprint("bulkdata", __name__)


@blueprint.get("/studies/<study>/series/<series>/instances/<instance>/bulkdata/<path:steps>")
@dated
def retrieve_bulk_data(study: str, series: str, instance: str, steps: str) -> Response:
    """One binary value, or the instance's frames for its pixel data (B-1 to B-4, W-R7)."""
    gateway = services()
    path = parse_path(study, series, instance)
    steps = steps.rstrip("/")
    place = parse_bulk_path(steps)
    record = gateway.archive.index.instance(study, series, instance)
    if place.is_pixel_data:
        return frames_response(gateway, request, record, ())
    value, media_type = bulk_value(gateway.archive, record, place)
    chosen = negotiate_bulk(accepted(request), media_type)
    ref = record.image_set
    etag = strong_etag(ref.image_set_id, version_of(gateway.archive, ref), path.path, steps, chosen.part_type)
    location = f"{base_path(request, gateway.config)}/{path.path}/bulkdata/{steps}"
    response = not_modified(request, etag) or represented(
        request, [Part([value], chosen.part_type, location)], chosen, gateway.config.boundary_key, etag
    )
    shield(response, chosen)
    return response
