"""The pixel data of everything below a study, series or instance, frame by frame (dicomweb.md W-R9)."""

from collections.abc import Iterator, Sequence

from flask import Blueprint, Response, request

from dicomweb_gateway.errors import NotAcceptable, ResourceNotFound
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.routes.frames import frames_response
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import Segment
from dicomweb_gateway.wado.collection import Produced, collect
from dicomweb_gateway.wado.failures import Planned
from dicomweb_gateway.wado.frames import frame_segments, servable_syntaxes
from dicomweb_gateway.web.accept import MediaRange
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.incomplete import told_whether_whole
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.multipart import boundary_for
from dicomweb_gateway.web.negotiation import frames_in, negotiate_frames
from dicomweb_gateway.web.parts import Part, streamed_parts
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.selection import all_instances, image_set_versions
from dicomweb_gateway.web.services import services

blueprint = Blueprint("pixeldata", __name__)

_MANY = 2
"""Frames that negotiation is told of: several, whatever their number, so the answer has parts."""


@blueprint.get("/studies/<study>/series/<series>/instances/<instance>/pixeldata")
@dated
def retrieve_instance_pixels(study: str, series: str, instance: str) -> Response:
    """All frames of an instance, as `/frames` without a list."""
    parse_path(study, series, instance)
    gateway = services()
    return frames_response(gateway, request, gateway.archive.index.instance(study, series, instance), ())


@blueprint.get("/studies/<study>/pixeldata")
@blueprint.get("/studies/<study>/series/<series>/pixeldata")
@dated
def retrieve_pixels(study: str, series: str | None = None) -> Response:
    """All frames of every instance that has any, streamed in Q-37 order; each part says its own coding.

    206 with a Warning when instances had to be left out, as for whole instances (W-10).
    """
    gateway = services()
    path = parse_path(study, series)
    ranges = accepted(request)
    etag = strong_etag(path.path, "pixels", repr(ranges), *image_set_versions(gateway.archive, path))
    known = not_modified(request, etag)
    if known is not None:
        return known
    planned, refused = _planned(all_instances(gateway, path), ranges)
    produced, failed = collect(gateway.archive, planned, gateway.failures, make=_frames)
    base = base_path(request, gateway.config)
    parts = (part for one in produced for part in _parts(one, base))
    media_type = frames_in(planned[0].transfer_syntax_uid).media_type
    response = streamed_parts(request, parts, media_type, boundary_for(gateway.config.boundary_key, etag))
    return told_whether_whole(response, refused + failed, etag)


def _planned(records: Sequence[InstanceRecord], ranges: list[MediaRange]) -> tuple[list[Planned], list[str]]:
    """Each instance with frames in the syntax that it can be served in, and the UIDs of those in none.

    ResourceNotFound when nothing has frames, NotAcceptable when none can be served.
    """
    planned, left_out = [], []
    refusal: Exception = ResourceNotFound("nothing below this path has pixel data")
    for record in records:
        if not record.frames:
            continue
        try:
            form = negotiate_frames(ranges, servable_syntaxes(record), _MANY)
            planned.append(Planned(record, str(form.transfer_syntax)))
        except NotAcceptable as error:
            refusal = error
            left_out.append(record.instance_uid)
    if not planned:
        raise refusal
    return planned, left_out


def _frames(archive: Archive, record: InstanceRecord, transfer_syntax_uid: str) -> list[Segment]:
    return frame_segments(archive, record, record.frames, transfer_syntax_uid)


def _parts(one: Produced, base: str) -> Iterator[Part]:
    record = one.planned.record
    part_type = frames_in(one.planned.transfer_syntax_uid).part_type
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    for number, segment in enumerate(one.segments, 1):
        yield Part([segment], part_type, f"{base}/{path}/frames/{number}")
