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
    instance_syntax,
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
    choice = negotiate_instances(accepted(request), single_part_allowed=False)
    records = list(selected_instances(gateway.archive.index, path))
    parts, left_out = _plan(records, choice)
    etag = strong_etag(
        path.path, choice.transfer_syntax or "", *image_set_versions(gateway.archive.index, path)
    )
    response = not_modified(request, etag) or streamed_parts(
        _parts(gateway, parts), DICOM, boundary_for(gateway.config.boundary_key, etag)
    )
    response.headers["ETag"] = etag
    if left_out and response.status_code == 200:
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
    choice = negotiate_instances(accepted(request), single_part_allowed=True)
    record = gateway.archive.index.instance(study, series, instance)
    syntax = instance_syntax(choice, record.transfer_syntax_uid, bool(record.frames))
    chosen = Representation(DICOM, choice.multipart, syntax)
    etag = strong_etag(
        path.path, chosen.part_type, str(chosen.multipart), *image_set_versions(gateway.archive.index, path)
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    return represented(request, [_part(gateway, record, syntax)], chosen, gateway.config.boundary_key, etag)


def _plan(
    records: list[InstanceRecord], choice: InstanceChoice
) -> tuple[list[tuple[InstanceRecord, str]], list[str]]:
    """(record, syntax) of what can be produced and the UIDs of what cannot (W-10); NotAcceptable when
    nothing can.
    """
    parts, left_out, refusal = [], [], None
    for record in records:
        try:
            syntax = instance_syntax(choice, record.transfer_syntax_uid, bool(record.frames))
            parts.append((record, syntax))
        except NotAcceptable as error:
            refusal = error
            left_out.append(record.instance_uid)
    if not parts and refusal is not None:
        raise refusal
    return parts, left_out


def _parts(gateway: Services, planned: list[tuple[InstanceRecord, str]]) -> Iterator[Part]:
    for number, (record, syntax) in enumerate(planned):
        following = planned[number + 1 : number + 3]
        gateway.archive.frames.prefetch([frame for later, _ in following for frame in later.frames[:64]])
        yield _part(gateway, record, syntax)


def _part(gateway: Services, record: InstanceRecord, syntax: str) -> Part:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    return Part(
        instance_segments(gateway.archive, record, syntax),
        Representation(DICOM, True, syntax).part_type,
        f"{base_path(request, gateway.config)}/{path}",
    )
