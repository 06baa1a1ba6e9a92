"""Frames of an instance (dicomweb.md 4.2)."""

from dataclasses import replace

from flask import Blueprint, Request, Response, request

from dicomweb_gateway.dicom.transfer_syntax import is_codestream
from dicomweb_gateway.errors import CorruptFrame, InvalidRequest
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.targets import is_stored_form
from dicomweb_gateway.wado.body import FrameSlice, Segment
from dicomweb_gateway.wado.frames import coded_by, frame_segments, servable_syntaxes, wanted_frames
from dicomweb_gateway.wado.levels import codestream_levels, level_ends
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import date_answer
from dicomweb_gateway.web.levels import WHOLE, Levels, as_stored, parse_levels
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.negotiation import Representation, negotiate_frames
from dicomweb_gateway.web.parts import Part, represented
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("frames", __name__)

_INSTANCE = "/studies/<study>/series/<series>/instances/<instance>"


FRAMES_RULE = f"{_INSTANCE}/frames/<frames>"


@blueprint.get(f"{_INSTANCE}/frames")
@blueprint.get(FRAMES_RULE)
def retrieve_frames(study: str, series: str, instance: str, frames: str | None = None) -> Response:
    """The frames of a list in its order, all without a list (W-R4, W-R5)."""
    return listed_frames(services(), request, study, series, instance, frames)


def listed_frames(
    gateway: Services, request: Request, study: str, series: str, instance: str, frames: str | None
) -> Response:
    """What `retrieve_frames` answers to `request`, in no context of Flask's."""
    path = parse_path(study, series, instance, frames, gateway.config.max_frames)
    record = gateway.archive.index.instance(study, series, instance)
    response = frames_response(gateway, request, record, path.frames)
    return date_answer(gateway, request, response, study, series)


def frames_response(
    gateway: Services, request: Request, record: InstanceRecord, frame_numbers: tuple[int, ...]
) -> Response:
    """The negotiated answer for 1-based `frame_numbers`, all when empty; also for bulk pixel data (B-4).

    With startLevel or endLevel only these resolution levels of the stored codestreams (F-11).
    """
    wanted = wanted_frames(record, frame_numbers)
    levels = parse_levels(request.args) if request.query_string else WHOLE
    asked = accepted(request) if levels == WHOLE else as_stored(accepted(request))
    chosen = negotiate_frames(asked, servable_syntaxes(record), len(wanted))
    if levels != WHOLE and not is_stored_form(record.transfer_syntax_uid, str(chosen.transfer_syntax)):
        raise InvalidRequest("only a stored codestream has resolution levels")
    etag = strong_etag(
        record.image_set.image_set_id,
        *(w.key.frame_id for w in wanted),
        chosen.part_type,
        str(chosen.multipart),
        *coded_by(record, str(chosen.transfer_syntax)),
        *(() if levels == WHOLE else map(str, levels)),
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    if gateway.archive.prefetcher is not None:
        gateway.archive.prefetcher.asked(gateway.archive.index, record, wanted[-1])
    numbers = frame_numbers or range(1, len(wanted) + 1)
    prefix = _location(gateway, request, record)
    parts = [
        Part([segment], chosen.part_type, f"{prefix}/frames/{number}")
        for number, segment in zip(numbers, _segments(gateway, record, wanted, chosen), strict=True)
    ]
    if levels != WHOLE:
        parts = [_only_levels(gateway, *pair, levels) for pair in zip(wanted, parts, strict=True)]
    elif len(parts) == 1 and chosen.transfer_syntax == record.transfer_syntax_uid:
        parts = [_with_level_ends(gateway, wanted[0], parts[0])]
    return represented(request, parts, chosen, gateway.config.boundary_key, etag)


def _only_levels(gateway: Services, wanted: WantedFrame, part: Part, levels: Levels) -> Part:
    """`part`, a whole stored frame, cut to `levels`; InvalidRequest when it has none (F-11)."""
    (frame,) = part.segments
    if not isinstance(frame, FrameSlice):
        raise InvalidRequest("only a stored codestream has resolution levels")
    bounds = gateway.archive.levels.of(wanted.key, frame.frame)
    return replace(part, segments=[codestream_levels(bounds, frame, *levels)])


def _with_level_ends(gateway: Services, wanted: WantedFrame, part: Part) -> Part:
    """`part`, a whole stored frame, with the ends of its levels; a damaged one goes out without them."""
    (frame,) = part.segments
    if not isinstance(frame, FrameSlice) or not is_codestream(wanted.transfer_syntax_uid):
        return part
    try:
        bounds = gateway.archive.levels.of(wanted.key, frame.frame)
    except CorruptFrame:
        return part
    return Part(part.segments, part.content_type, part.location, level_ends(bounds, frame))


def _segments(
    gateway: Services, record: InstanceRecord, wanted: list[WantedFrame], chosen: Representation
) -> list[Segment]:
    return frame_segments(gateway.archive, record, wanted, str(chosen.transfer_syntax))


def _location(gateway: Services, request: Request, record: InstanceRecord) -> str:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    return f"{base_path(request, gateway.config)}/{path}"
