"""Answers that are pictures: of frames, of every instance, animations (dicomweb.md R-1, R-3, R-13)."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from flask import Request, Response

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import NotAcceptable, PayloadTooLarge
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.profile import OWN, PROFILED_TYPES, SRGB
from dicomweb_gateway.pixels.resize import region_of
from dicomweb_gateway.wado.archive import Archive, version_of
from dicomweb_gateway.wado.body import Segment
from dicomweb_gateway.wado.collection import collect
from dicomweb_gateway.wado.failures import Planned
from dicomweb_gateway.wado.frames import prefetch_behind, wanted_frames
from dicomweb_gateway.wado.rendered import (
    MADE_BY,
    described_image,
    kept_frame,
    open_picture,
    rendered_animation,
    rendered_first_frame,
)
from dicomweb_gateway.wado.representatives import images_of
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.incomplete import told_whether_whole
from dicomweb_gateway.web.links import base_path, base_url
from dicomweb_gateway.web.multipart import MultipartFraming, boundary_for
from dicomweb_gateway.web.negotiation import Representation
from dicomweb_gateway.web.parts import Part, represented, streamed_parts
from dicomweb_gateway.web.resource import ResourcePath
from dicomweb_gateway.web.responses import not_modified, stream_response
from dicomweb_gateway.web.selection import image_set_versions, selected_instances
from dicomweb_gateway.web.services import Services


def frames_pictured(
    request: Request,
    gateway: Services,
    record: InstanceRecord,
    numbers: Sequence[int],
    options: RenderOptions,
    chosen: Representation,
    kind: str = "rendered",
) -> Response:
    """Frames `numbers` (1-based): one alone or in a part, several as parts that are made one by one (R-3).

    `kind`: the last step of their address, "rendered" or "thumbnail".
    """
    pixels = described_image(record)
    wanted = wanted_frames(record, numbers)
    etag = _etag(gateway.archive, record, tuple(numbers), options, chosen)
    known = not_modified(request, etag)
    if known is not None:
        return known
    if len(wanted) > 1:
        gateway.archive.frames.prefetch(wanted[: gateway.archive.ahead_of(record)])
    picture = open_picture(gateway.archive, record)
    prefix = f"{base_path(request, gateway.config)}/{_path(record)}"

    def part(place: int) -> Part:
        number = numbers[place]
        prefetch_behind(gateway.archive, record, wanted, place)
        image = kept_frame(picture, number, options, chosen.media_type, goes_on=place > 0)
        return Part([image], chosen.media_type, f"{prefix}/frames/{number}/{kind}")

    parts = map(part, range(len(numbers)))
    key = gateway.config.boundary_key
    if len(numbers) == 1:
        response = represented(request, list(parts), chosen, key, etag)
    else:
        response = streamed_parts(request, parts, chosen.media_type, boundary_for(key, etag))
        response.headers["ETag"] = etag
    return _warned(request, gateway, response, options, chosen.media_type, pixels)


def animation(
    request: Request,
    gateway: Services,
    record: InstanceRecord,
    options: RenderOptions,
    chosen: Representation,
) -> Response:
    """All frames of the instance as one animated GIF, streamed (R-3); PayloadTooLarge for too many."""
    count, limit = len(record.frames), gateway.config.max_frames
    if count > limit:
        raise PayloadTooLarge(f"an animation has at most {limit} frames, the instance has {count}")
    described_image(record)
    etag = _etag(gateway.archive, record, "animation", options, chosen)
    known = not_modified(request, etag)
    if known is not None:
        return known
    gateway.archive.frames.prefetch(record.frames[: gateway.archive.ahead_of(record)])
    pieces = rendered_animation(open_picture(gateway.archive, record), options)
    location = f"{base_path(request, gateway.config)}/{_path(record)}/rendered"
    content_type = chosen.media_type
    if chosen.multipart:
        framing = MultipartFraming(boundary_for(gateway.config.boundary_key, etag), content_type)
        pieces, content_type = _framed(framing, pieces, location), framing.content_type
    response = stream_response(pieces, content_type)
    response.headers["Content-Location"] = location
    response.headers["ETag"] = etag
    return _warned(request, gateway, response, options, chosen.media_type)


def every_instance_pictured(
    request: Request, gateway: Services, path: ResourcePath, options: RenderOptions, chosen: Representation
) -> Response:
    """The first frame of every image below a study or series, made one by one (R-1).

    PayloadTooLarge for more than MAX_RENDERED_INSTANCES. What cannot be shown is left out like whole
    instances that cannot be retrieved (W-10).
    """
    records = images_of(
        selected_instances(gateway.archive.index, path), gateway.config.max_rendered_instances
    )
    for record in records:
        region_of(options.viewport, described_image(record))
    if not records:
        raise NotAcceptable("there is no image that could be rendered below this path")
    etag = strong_etag(
        MADE_BY, path.path, repr(options), repr(chosen), *image_set_versions(gateway.archive, path)
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    planned = [Planned(record, f"rendered {chosen.media_type}") for record in records]
    make = partial(_first_frame, options, chosen.media_type)
    produced, left_out = collect(gateway.archive, planned, gateway.failures, make)
    # the parts are made after the request is over for Flask, so what they need of it is read now
    base = base_path(request, gateway.config)
    parts = (
        Part(p.segments, chosen.media_type, f"{base}/{_path(p.planned.record)}/frames/1/rendered")
        for p in produced
    )
    boundary = boundary_for(gateway.config.boundary_key, etag)
    response = streamed_parts(request, parts, chosen.media_type, boundary)
    told_whether_whole(response, left_out, etag)
    return _warned(request, gateway, response, options, chosen.media_type)


def _first_frame(
    options: RenderOptions, media_type: str, archive: Archive, record: InstanceRecord, form: str
) -> list[Segment]:
    return [rendered_first_frame(archive, record, options, media_type)]


def _framed(framing: MultipartFraming, pieces: Iterator[bytes], location: str) -> Iterator[bytes]:
    """The only part of a multipart answer, of unknown length."""
    head = framing.head(framing.part_type, None, location, first=True)
    # the first frame is made before anything goes out, so that its failure is an error answer (M-9)
    return chain([head + next(pieces, b"")], pieces, [framing.tail])


def _etag(
    archive: Archive, record: InstanceRecord, what: object, options: RenderOptions, chosen: Representation
) -> str:
    ref = record.image_set
    words = (ref.image_set_id, version_of(archive, ref), record.instance_uid)
    return strong_etag(MADE_BY, *words, repr(what), repr(options), repr(chosen))


def _path(record: InstanceRecord) -> str:
    return ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path


def _warned(
    request: Request,
    gateway: Services,
    response: Response,
    options: RenderOptions,
    media_type: str,
    pixels: PixelDescription | None = None,
) -> Response:
    """Tells of parameters that did nothing (R-9, R-10); `pixels` where one instance is shown."""
    warnings = list(options.warnings)
    if options.profile in (OWN, SRGB):
        if media_type not in PROFILED_TYPES:
            warnings.append(f"no ICC profile is embedded in {media_type}")
        elif pixels is not None and pixels.photometric_interpretation.startswith("MONOCHROME"):
            warnings.append("no ICC profile is embedded in a grey image")
    for warning in warnings:
        response.headers.add("Warning", f'299 {base_url(request, gateway.config)}: "{warning}"')
    return response
