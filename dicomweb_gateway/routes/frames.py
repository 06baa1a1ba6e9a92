"""Frames of an instance (dicomweb.md 4.2)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.body import Segment
from dicomweb_gateway.wado.frames import frame_segments, servable_syntaxes, wanted_frames
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.negotiation import Representation, negotiate_frames
from dicomweb_gateway.web.parts import Part, represented
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("frames", __name__)

_INSTANCE = "/studies/<study>/series/<series>/instances/<instance>"


@blueprint.get(f"{_INSTANCE}/frames")
@blueprint.get(f"{_INSTANCE}/frames/<frames>")
def retrieve_frames(study: str, series: str, instance: str, frames: str | None = None) -> Response:
    """The frames of a list in its order, all without a list (W-R4, W-R5)."""
    gateway = services()
    path = parse_path(study, series, instance, frames, gateway.config.max_frames)
    record = gateway.archive.index.instance(study, series, instance)
    return frames_response(gateway, record, path.frames)


def frames_response(gateway: Services, record: InstanceRecord, frame_numbers: tuple[int, ...]) -> Response:
    """The negotiated answer for 1-based `frame_numbers`, all when empty; also for bulk pixel data (B-4)."""
    wanted = wanted_frames(record, frame_numbers)
    chosen = negotiate_frames(accepted(request), servable_syntaxes(record), len(wanted))
    etag = strong_etag(
        record.image_set.image_set_id,
        *(w.key.frame_id for w in wanted),
        chosen.part_type,
        str(chosen.multipart),
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    if gateway.archive.prefetcher is not None:
        gateway.archive.prefetcher.asked(record, wanted[-1])
    numbers = frame_numbers or range(1, len(wanted) + 1)
    prefix = _location(gateway, record)
    parts = [
        Part([segment], chosen.part_type, f"{prefix}/frames/{number}")
        for number, segment in zip(numbers, _segments(gateway, record, wanted, chosen), strict=True)
    ]
    return represented(request, parts, chosen, gateway.config.boundary_key, etag)


def _segments(
    gateway: Services, record: InstanceRecord, wanted: list[WantedFrame], chosen: Representation
) -> list[Segment]:
    return frame_segments(gateway.archive, record, wanted, str(chosen.transfer_syntax))


def _location(gateway: Services, record: InstanceRecord) -> str:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    return f"{base_path(request, gateway.config)}/{path}"
