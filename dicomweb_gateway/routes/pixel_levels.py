"""Decoded pixels of single resolution levels: what our stack view shows while the rest is on its way."""

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.dicom.transfer_syntax import OCTET_STREAM
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.tlm.levels import parse_level
from dicomweb_gateway.wado.pixel_levels import LeveledFrame, leveled_frame
from dicomweb_gateway.wado.rendered import MADE_BY, open_picture
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.negotiation import JSON
from dicomweb_gateway.web.pixel_levels import DESCRIPTION, bytes_described, coded, facts_of, parse_coding
from dicomweb_gateway.web.resource import parse_path
from dicomweb_gateway.web.responses import json_response, not_modified
from dicomweb_gateway.web.services import services

blueprint = Blueprint("pixel_levels", __name__)

_LEVELS = "/studies/<study>/series/<series>/instances/<instance>/frames/<frames>/levels"


@blueprint.get(_LEVELS)
@dated
def tell_pixel_levels(study: str, series: str, instance: str, frames: str) -> Response:
    """The levels that a frame has, with the pixel size of each, and how to show their pixels."""
    frame = _frame(study, series, instance, frames)
    body = dumps(facts_of(frame))
    etag = strong_etag("levels", body.decode())
    return not_modified(request, etag, may_be_encoded=True) or json_response(request, body, JSON, etag)


@blueprint.get(f"{_LEVELS}/<level>")
@dated
def retrieve_pixel_level(study: str, series: str, instance: str, frames: str, level: str) -> Response:
    """Grey as values before any window, colour as RGB; rows from the top, no padding between them.

    The header Image-Description says what the bytes are. The last level, which also has the name "last", is
    the frame bit for bit; a number past it means it, as an endLevel does (healthimaging.md 7.1). With
    `coding=differences` samples of 8 and 16 bits come as `pixels.differences` has them.
    """
    wanted = parse_coding(request.args)
    asked = None if level == "last" else parse_level(level)
    frame = _frame(study, series, instance, frames)
    last = len(frame.levels) - 1
    number = last if asked is None else min(asked, last)
    facts = facts_of(frame)
    etag = strong_etag(
        MADE_BY, repr(tuple(frame.wanted.key)), repr(frame.picture.pixels), repr(facts), str(number), wanted
    )
    known = not_modified(request, etag, may_be_encoded=True)
    if known is not None:
        return known
    made = frame.pixels_of(number)
    body, coding = coded(made, wanted)
    response = json_response(request, body, OCTET_STREAM, etag)
    response.headers[DESCRIPTION] = dumps(bytes_described(frame, number, made, coding)).decode("ascii")
    return response


def _frame(study: str, series: str, instance: str, frames: str) -> LeveledFrame:
    gateway = services()
    numbers = parse_path(study, series, instance, frames, 1).frames
    if len(numbers) != 1:
        raise InvalidRequest("levels are those of one frame")
    record = gateway.archive.index.instance(study, series, instance)
    frame = leveled_frame(open_picture(gateway.archive, record), numbers[0])
    if gateway.archive.prefetcher is not None:
        gateway.archive.prefetcher.asked(gateway.archive.index, record, frame.wanted)
    return frame
