"""StoreDICOM and StoreDICOMStudy of HealthImaging's own DICOMweb (healthimaging.md 5)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.multipart import MalformedMultipart, content_type, read_parts
from dicomweb_gateway.dicom.store_response import status_of, store_response
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.emulator.chunked_signing import opened_body
from dicomweb_gateway.emulator.datastores import find_datastore
from dicomweb_gateway.emulator.errors import InvalidRequest, TooLarge, UnsupportedMediaType
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.wire import json_answer, require_ids

MOST_BYTES = 1 << 30
"""Of one request."""
_STUDIES = "/datastore/<datastore_id>/studies"
_DICOM = "application/dicom"


def dicomweb_routes(services: Services) -> Blueprint:
    """The operations of DICOMweb that the emulator has."""
    routes = Blueprint("dicomweb", __name__)

    @routes.post(_STUDIES, endpoint="StoreDICOM")
    def store(datastore_id: str) -> Response:
        return _store(services, datastore_id, None)

    @routes.post(f"{_STUDIES}/<study_uid>", endpoint="StoreDICOMStudy")
    def store_study(datastore_id: str, study_uid: str) -> Response:
        if not is_valid_uid(study_uid):
            raise InvalidRequest("Value at 'studyInstanceUID' is no UID")
        return _store(services, datastore_id, study_uid)

    return routes


def _store(services: Services, datastore_id: str, study_uid: str | None) -> Response:
    require_ids(datastoreId=datastore_id)
    find_datastore(services.storage.catalogue, datastore_id)
    if (request.content_length or 0) > MOST_BYTES:
        raise TooLarge(f"A request may have {MOST_BYTES} bytes")
    boundary = _boundary()
    with opened_body(request) as body:
        try:
            parts = list(read_parts(body, boundary))
        except MalformedMultipart as error:
            raise InvalidRequest(f"The request body is malformed: {error}") from error
        if not parts:
            raise InvalidRequest("The request body has no parts")
        outcomes = services.storer.store(datastore_id, study_uid, body, parts)
    base = f"{request.host_url}datastore/{datastore_id}"
    answer = json_answer(store_response(outcomes, base), status_of(outcomes))
    answer.headers["Content-Type"] = "application/dicom+json"
    return answer


def _boundary() -> str:
    media_type, options = content_type(request.headers.get("Content-Type", ""))
    if media_type != "multipart/related" or options.get("type", _DICOM).lower() != _DICOM:
        raise UnsupportedMediaType(f'Content-Type must be multipart/related; type="{_DICOM}"')
    return options.get("boundary", "")
