"""Whole instances of study, series and instance (dicomweb.md 4.1)."""

from collections.abc import Iterator

from flask import Blueprint, Response, request

from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.instances import instance_segments
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.multipart import boundary_for
from dicomweb_gateway.web.negotiation import (
    DICOM,
    InstanceChoice,
    Representation,
    instance_form,
    negotiate_instances,
)
from dicomweb_gateway.web.parts import Part, represented, streamed_parts
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.selection import image_set_versions, selected_instances
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("instances", __name__)


@blueprint.get("/studies/<study>")
@blueprint.get("/studies/<study>/series/<series>")
def retrieve_instances(study: str, series: str | None = None) -> Response:
    """Every instance below a study or series, streamed part by part (W-R1, W-R2)."""
    gateway = services()
    path = parse_path(study, series)
    choices = negotiate_instances(accepted(request), single_part_allowed=False)
    records = list(selected_instances(gateway.archive.index, path))
    planned, left_out = _plan(records, choices)
    etag = strong_etag(path.path, repr(choices), *image_set_versions(gateway.archive.index, path))
    known = not_modified(request, etag)
    if known is not None:
        return known
    # the parts are made after the request is over for Flask, so what they need of it is read now
    parts = _parts(gateway, planned, base_path(request, gateway.config))
    response = streamed_parts(parts, DICOM, boundary_for(gateway.config.boundary_key, etag))
    response.headers["ETag"] = etag
    if left_out:
        response.status_code = 206
        response.headers["Warning"] = (
            f'299 - "{len(left_out)} instances left out: {", ".join(left_out[:20])}"'
        )
    return response


@blueprint.get("/studies/<study>/series/<series>/instances/<instance>")
def retrieve_instance(study: str, series: str, instance: str) -> Response:
    """One instance, in multipart or alone (W-R3, W-8)."""
    gateway = services()
    path = parse_path(study, series, instance)
    choices = negotiate_instances(accepted(request), single_part_allowed=True)
    record = gateway.archive.index.instance(study, series, instance)
    chosen = instance_form(choices, record.transfer_syntax_uid, bool(record.frames))
    etag = strong_etag(
        path.path, chosen.part_type, str(chosen.multipart), *image_set_versions(gateway.archive.index, path)
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    part = _part(gateway, record, chosen, base_path(request, gateway.config))
    return represented(request, [part], chosen, gateway.config.boundary_key, etag)


def _plan(
    records: list[InstanceRecord], choices: list[InstanceChoice]
) -> tuple[list[tuple[InstanceRecord, Representation]], list[str]]:
    """(record, form) of what can be produced and the UIDs of what cannot (W-10); NotAcceptable when
    nothing can.
    """
    planned, left_out, refusal = [], [], None
    for record in records:
        try:
            form = instance_form(choices, record.transfer_syntax_uid, bool(record.frames))
            planned.append((record, form))
        except NotAcceptable as error:
            refusal = error
            left_out.append(record.instance_uid)
    if not planned and refusal is not None:
        raise refusal
    return planned, left_out


def _parts(
    gateway: Services, planned: list[tuple[InstanceRecord, Representation]], base: str
) -> Iterator[Part]:
    for number, (record, form) in enumerate(planned):
        following = planned[number + 1 : number + 3]
        gateway.archive.frames.prefetch([frame for later, _ in following for frame in later.frames[:64]])
        yield _part(gateway, record, form, base)


def _part(gateway: Services, record: InstanceRecord, form: Representation, base: str) -> Part:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    segments = instance_segments(gateway.archive, record, str(form.transfer_syntax))
    return Part(segments, form.part_type, f"{base}/{path}")
