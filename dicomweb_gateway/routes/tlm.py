"""Resolution levels of a frame by HealthImaging's own address (healthimaging.md 7.1, dicomweb.md F-11)."""

import re
from typing import Any

import orjson
from flask import Blueprint, Request, Response, request

from dicomweb_gateway.errors import InvalidRequest, MissingArgument
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.wado.levels import frame_levels, known_frame
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.caching import immutable
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.levels import WHOLE, parse_levels
from dicomweb_gateway.web.requests import plain_arguments, single
from dicomweb_gateway.web.responses import body_response, not_modified, options_response
from dicomweb_gateway.web.service_ids import IMAGE_SET_PATH, IMAGE_SET_RULE, check_id, check_image_set
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("tlm", __name__)

FRAME_RULE = f"{IMAGE_SET_RULE}/getImageFrame"
FRAME_PATH = re.compile(f"{IMAGE_SET_PATH}/getImageFrame")
_OCTET_STREAM = "application/octet-stream"


@blueprint.post(FRAME_RULE, provide_automatic_options=False)
@blueprint.get(FRAME_RULE, provide_automatic_options=False)
def get_image_frame(datastore_id: str, image_set_id: str) -> Response:
    """The levels from startLevel to endLevel of one frame, all of it without either."""
    return levels_of_frame(services(), request, datastore_id, image_set_id)


@blueprint.route(FRAME_RULE, methods=["OPTIONS"])
def frame_options(datastore_id: str, image_set_id: str) -> Response:
    """What may be asked here, for browsers (7.1)."""
    return options_response("GET", "HEAD", "POST")


def levels_of_frame(gateway: Services, request: Request, datastore_id: str, image_set_id: str) -> Response:
    """What `get_image_frame` answers to `request`, in no context of Flask's."""
    posted = request.method == "POST"
    arguments = plain_arguments(request)
    frame_id = _frame_id_of_body(request) if posted else single(arguments, "imageFrameId")
    key = _key(datastore_id, image_set_id, frame_id)
    if posted:
        # nothing of the address tells which
        note(request, image_frame=key.frame_id)
    start, end = parse_levels(arguments) if arguments else WHOLE
    wanted = known_frame(gateway.archive, key)
    caching = immutable(gateway.config.cdn_caching)
    etag = strong_etag(*key, str(start), str(end))
    known = None if posted else not_modified(request, etag, caching=caching)
    if known is not None:
        return known
    segment = frame_levels(gateway.archive, wanted, start, end)
    return body_response(request, [segment], _OCTET_STREAM, etag, caching)


def _frame_id_of_body(request: Request) -> str | None:
    """`imageFrameId` at the top or inside `imageFrameInformation`, whatever the Content-Type says.

    Clients send both forms; None where it is missing.
    """
    try:
        body: Any = orjson.loads(request.get_data(cache=False) or b"{}")
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body must be JSON with an imageFrameId") from None
    inner = body.get("imageFrameInformation") if isinstance(body, dict) else None
    named = [one["imageFrameId"] for one in (body, inner) if isinstance(one, dict) and "imageFrameId" in one]
    if len(named) == 2 and named[0] != named[1]:
        raise InvalidRequest("the body names two frames")
    if not named:
        return None
    if not isinstance(named[0], str):
        raise InvalidRequest("imageFrameId must be a text")
    return named[0]


def _key(datastore_id: str, image_set_id: str, frame_id: str | None) -> FrameKey:
    if not frame_id:
        raise MissingArgument("Missing argument. Required: datastore ID, imageSet ID, image frame ID.")
    check_image_set(datastore_id, image_set_id)
    check_id(frame_id, "frame")
    return FrameKey(datastore_id, image_set_id, frame_id)
