"""Rendered images and thumbnails at every level (dicomweb.md section 5)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.wado.rendered import (
    frame_numbers_or_first,
    middle_frame,
    rendered_frame,
    representative_of_series,
    representative_of_study,
)
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.links import base_path, base_url
from dicomweb_gateway.web.negotiation import RENDERED_TYPES, Representation, negotiate_rendered
from dicomweb_gateway.web.parts import Part, represented
from dicomweb_gateway.web.rendering import parse_render_options, parse_thumbnail_options
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("rendered", __name__)

_STUDY = "/studies/<study>"
_SERIES = f"{_STUDY}/series/<series>"
_INSTANCE = f"{_SERIES}/instances/<instance>"


@blueprint.get(f"{_STUDY}/rendered")
@blueprint.get(f"{_SERIES}/rendered")
@blueprint.get(f"{_INSTANCE}/rendered")
@blueprint.get(f"{_INSTANCE}/rendered/<frames>")
@blueprint.get(f"{_INSTANCE}/frames/<frames>/rendered")
def retrieve_rendered(
    study: str, series: str | None = None, instance: str | None = None, frames: str | None = None
) -> Response:
    """The image as a consumer picture; of a study or series the representative one (R-1 to R-10)."""
    gateway = services()
    path = parse_path(study, series, instance, frames, gateway.config.max_frames)
    options = parse_render_options(_arguments())
    chosen = negotiate_rendered(accepted(request), RENDERED_TYPES)
    record, numbers = _target(gateway, path)
    return _images(gateway, record, numbers, options, chosen)


@blueprint.get(f"{_STUDY}/thumbnail")
@blueprint.get(f"{_SERIES}/thumbnail")
@blueprint.get(f"{_INSTANCE}/thumbnail")
@blueprint.get(f"{_INSTANCE}/thumbnail/<frames>")
@blueprint.get(f"{_INSTANCE}/frames/<frames>/thumbnail")
def retrieve_thumbnail(
    study: str, series: str | None = None, instance: str | None = None, frames: str | None = None
) -> Response:
    """A small picture of the same image (R-13 to R-15)."""
    gateway = services()
    path = parse_path(study, series, instance, frames, 1)
    options = parse_thumbnail_options(_arguments())
    chosen = negotiate_rendered(accepted(request), RENDERED_TYPES)
    record, numbers = _target(gateway, path)
    return _images(gateway, record, numbers[:1], options, chosen)


def _arguments() -> dict[str, list[str]]:
    return dict(request.args.lists())


def _target(gateway: Services, path: ResourcePath) -> tuple[InstanceRecord, tuple[int, ...]]:
    """The instance to show and the 1-based numbers of its frames."""
    archive = gateway.archive
    if path.instance_uid is not None and path.series_uid is not None and path.study_uid is not None:
        record = archive.index.instance(path.study_uid, path.series_uid, path.instance_uid)
        return record, frame_numbers_or_first(path.frames)
    if path.series_uid is not None:
        record = representative_of_series(archive, str(path.study_uid), path.series_uid)
    else:
        record = representative_of_study(archive, str(path.study_uid))
    return record, (middle_frame(record),)


def _images(
    gateway: Services,
    record: InstanceRecord,
    numbers: tuple[int, ...],
    options: RenderOptions,
    chosen: Representation,
) -> Response:
    if len(numbers) > 1 and not chosen.multipart:
        chosen = Representation(chosen.media_type, True)
    ref = record.image_set
    etag = strong_etag(
        ref.image_set_id, str(ref.version_id), record.instance_uid, str(numbers), repr(options), repr(chosen)
    )
    response = not_modified(request, etag) or represented(
        request,
        [_image(gateway, record, number, options, chosen) for number in numbers],
        chosen,
        gateway.config.boundary_key,
        etag,
    )
    for warning in options.warnings:
        response.headers.add("Warning", f'299 {base_url(request, gateway.config)}: "{warning}"')
    return response


def _image(
    gateway: Services, record: InstanceRecord, number: int, options: RenderOptions, chosen: Representation
) -> Part:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    location = f"{base_path(request, gateway.config)}/{path}/frames/{number}/rendered"
    if not record.frames:
        raise NotAcceptable("the instance has no image that could be rendered")
    image = rendered_frame(gateway.archive, record, number, options, chosen.media_type)
    return Part([image], chosen.media_type, location)
