"""Which image sets hold a study or series: the way from DICOM to HealthImaging's own addresses."""

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import ResourceNotFound
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.negotiation import JSON
from dicomweb_gateway.web.resource import parse_path
from dicomweb_gateway.web.responses import json_response, not_modified
from dicomweb_gateway.web.services import services

blueprint = Blueprint("holdings", __name__)


@blueprint.get("/studies/<study>/image-sets")
@blueprint.get("/studies/<study>/series/<series>/image-sets")
@dated
def tell_image_sets(study: str, series: str | None = None) -> Response:
    """`datastoreId` and `imageSetId` of each image set that holds instances of the study or series."""
    path = parse_path(study, series)
    refs = services().archive.index.image_sets(str(path.study_uid), path.series_uid)
    if not refs:
        raise ResourceNotFound("there is nothing below this path")
    told = [{"datastoreId": ref.datastore_id, "imageSetId": ref.image_set_id} for ref in refs]
    body = dumps(told)
    etag = strong_etag("image sets", body.decode())
    return not_modified(request, etag, may_be_encoded=True) or json_response(request, body, JSON, etag)
