"""Rendered images, videos, documents and thumbnails at every level (dicomweb.md section 5)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.animation import GIF
from dicomweb_gateway.pixels.encode import RENDERED_TYPES
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.rendered import is_video
from dicomweb_gateway.wado.representatives import (
    middle_frame,
    representative_of_series,
    representative_of_study,
)
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.documents import document_response, video_response
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.negotiation import Representation, negotiate_rendered
from dicomweb_gateway.web.pictures import animation, every_instance_pictured, frames_pictured
from dicomweb_gateway.web.rendering import parse_render_options, parse_thumbnail_options
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
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
@dated
def retrieve_rendered(
    study: str, series: str | None = None, instance: str | None = None, frames: str | None = None
) -> Response:
    """What a browser can show; of a study or series the representative, or all in parts (R-1 to R-10)."""
    gateway = services()
    path = parse_path(study, series, instance, frames, gateway.config.max_frames)
    options = parse_render_options(_arguments())
    record = _target(gateway.archive, path)
    if is_video(record) or not record.frames:
        return _other_than_image(gateway, record, path)
    chosen = negotiate_rendered(accepted(request), RENDERED_TYPES)
    if path.instance_uid is None and chosen.multipart:
        return every_instance_pictured(request, gateway, path, options, chosen)
    if path.instance_uid and not path.frames and len(record.frames) > 1 and chosen.media_type == GIF:
        return animation(request, gateway, record, options, chosen)
    numbers = _numbers(record, path)
    if len(numbers) > 1:
        chosen = Representation(chosen.media_type, True)
    return frames_pictured(request, gateway, record, numbers, options, chosen)


@blueprint.get(f"{_STUDY}/thumbnail")
@blueprint.get(f"{_SERIES}/thumbnail")
@blueprint.get(f"{_INSTANCE}/thumbnail")
@blueprint.get(f"{_INSTANCE}/thumbnail/<frames>")
@blueprint.get(f"{_INSTANCE}/frames/<frames>/thumbnail")
@dated
def retrieve_thumbnail(
    study: str, series: str | None = None, instance: str | None = None, frames: str | None = None
) -> Response:
    """A small picture of the same image (R-13 to R-15)."""
    gateway = services()
    path = parse_path(study, series, instance, frames, 1)
    options = parse_thumbnail_options(_arguments())
    record = _target(gateway.archive, path)
    chosen = negotiate_rendered(accepted(request), RENDERED_TYPES)
    return frames_pictured(request, gateway, record, _numbers(record, path), options, chosen, "thumbnail")


def _arguments() -> dict[str, list[str]]:
    return dict(request.args.lists())


def _target(archive: Archive, path: ResourcePath) -> InstanceRecord:
    """The instance to show."""
    study = str(path.study_uid)
    if path.series_uid is None:
        return representative_of_study(archive, study)
    if path.instance_uid is None:
        return representative_of_series(archive, study, path.series_uid)
    return archive.index.instance(study, path.series_uid, path.instance_uid)


def _numbers(record: InstanceRecord, path: ResourcePath) -> tuple[int, ...]:
    """The 1-based numbers of the frames to show: those asked for, else the first, of a group the middle."""
    return path.frames or (1 if path.instance_uid else middle_frame(record),)


def _other_than_image(gateway: Services, record: InstanceRecord, path: ResourcePath) -> Response:
    """The video or document that the instance is (R-4); neither has frames that could be shown (R-5)."""
    if path.frames:
        raise NotAcceptable("the instance has no frames that could be rendered, only /rendered as a whole")
    place = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    location = f"{base_path(request, gateway.config)}/{place}/rendered"
    answer = video_response if is_video(record) else document_response
    return answer(request, gateway, record, location)
