"""STOW-RS: instances of a request into the data store and the index (dicomweb.md S-1; PS3.18 10.5)."""

import time
from collections.abc import Sequence

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.dicom.store_response import Outcome, status_of, store_response
from dicomweb_gateway.dicom.xml_model import native_model
from dicomweb_gateway.errors import StoringOff
from dicomweb_gateway.patience import request_scope
from dicomweb_gateway.stow.store import StoreRequest
from dicomweb_gateway.telemetry.catalogue import STORED_INSTANCES
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.bodies import opened_body, store_boundary
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.negotiation import DICOM_XML, negotiate_stored
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import parse_path
from dicomweb_gateway.web.rights import retrieval_sight_of, sight_of
from dicomweb_gateway.web.services import services

blueprint = Blueprint("stow", __name__)


@blueprint.post("/studies")
@blueprint.post("/studies/<study>")
def store_instances(study: str | None = None) -> Response:
    """Stored, indexed and retrievable when this answers; 200 all, 202 some, 409 none (S-1)."""
    gateway = services()
    path = parse_path(study)
    sight = sight_of(request)
    if gateway.storing is None or sight.is_nothing:
        raise StoringOff
    media_type = negotiate_stored(accepted(request))
    boundary = store_boundary(request)
    config = gateway.config
    space = gateway.archive.spools
    deadline = time.monotonic() + config.store_seconds
    # a client that leaves now ends nothing: what is stored must be in the index too
    with request_scope(deadline), opened_body(request, config.store_max_bytes, space) as body:
        wanted = StoreRequest(body, boundary, path.study_uid, deadline, sight, retrieval_sight_of(request))
        outcomes = gateway.storing.store(wanted)
    _tell(outcomes)
    response = store_response(outcomes, base_url(request, config))
    text = native_model(response) if media_type == DICOM_XML else dumps(response)
    answer = Response(text, status_of(outcomes), content_type=media_type)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _tell(outcomes: Sequence[Outcome]) -> None:
    """For the audit log and the metrics."""
    stored = [one for one in outcomes if one.failure is None]
    note(
        request,
        studies=sorted({one.study_uid for one in stored}),
        stored=len(stored),
        refused=len(outcomes) - len(stored),
    )
    count(STORED_INSTANCES, ("stored",), len(stored))
    if len(stored) < len(outcomes):
        count(STORED_INSTANCES, ("refused",), len(outcomes) - len(stored))
