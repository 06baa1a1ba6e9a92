"""Resolution levels of a frame by HealthImaging's own address (healthimaging.md 7.1, dicomweb.md F-11)."""

import re
from typing import Any

import orjson
from flask import Blueprint, Response, request

from dicomweb_gateway.errors import InvalidRequest, UpstreamDenied, UpstreamError, UpstreamThrottled
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.wado.levels import frame_levels, known_frame
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.levels import parse_levels
from dicomweb_gateway.web.responses import body_response, gateway_error_response, not_modified
from dicomweb_gateway.web.services import services

blueprint = Blueprint("tlm", __name__)

_ID = re.compile(r"[0-9a-z]{32}")
_OCTET_STREAM = "application/octet-stream"
_IMMUTABLE = "private, max-age=31536000, immutable"
"""The address holds the frame's id, and a frame never changes (H-5)."""


@blueprint.post("/datastore/<datastore_id>/imageSet/<image_set_id>/getImageFrame")
@blueprint.get("/datastore/<datastore_id>/imageSet/<image_set_id>/getImageFrame")
def get_image_frame(datastore_id: str, image_set_id: str) -> Response:
    """The levels from startLevel to endLevel of one frame, all of it without either."""
    gateway = services()
    frame_id = _frame_id_of_body() if request.method == "POST" else request.args.get("imageFrameId")
    key = _key(datastore_id, image_set_id, frame_id)
    start, end = parse_levels(request.args)
    wanted = known_frame(gateway.archive, key)
    etag = strong_etag(*key, str(start), str(end))
    known = not_modified(request, etag)
    response = known or body_response(
        request, [frame_levels(gateway.archive, wanted, start, end)], _OCTET_STREAM, etag
    )
    response.headers["Cache-Control"] = _IMMUTABLE
    return response


@blueprint.errorhandler(UpstreamDenied)
@blueprint.errorhandler(UpstreamThrottled)
def as_upstream_said(error: UpstreamError) -> Response:
    """403 and 429 as HealthImaging gave them (healthimaging.md 7.1)."""
    return gateway_error_response(error, pass_through=True)


def _frame_id_of_body() -> str | None:
    """`imageFrameId` at the top or inside `imageFrameInformation`: clients send both."""
    try:
        body: Any = orjson.loads(request.get_data(cache=False) or b"{}")
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body must be JSON with an imageFrameId") from None
    if isinstance(body, dict) and isinstance(body.get("imageFrameInformation"), dict):
        body = body["imageFrameInformation"]
    found = body.get("imageFrameId") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _key(datastore_id: str, image_set_id: str, frame_id: str | None) -> FrameKey:
    if not frame_id:
        raise InvalidRequest("Missing argument. Required: datastore ID, imageSet ID, image frame ID.")
    for name, value in (("data store", datastore_id), ("image set", image_set_id), ("frame", frame_id)):
        if not _ID.fullmatch(value):
            raise InvalidRequest(
                f"{value[:40]!r} is no {name} id: those are 32 digits and lower-case letters"
            )
    return FrameKey(datastore_id, image_set_id, frame_id)
