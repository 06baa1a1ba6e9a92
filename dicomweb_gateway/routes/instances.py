"""Whole instances of study, series and instance (dicomweb.md 4.1)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from flask import Blueprint, Response, request

from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.body import Segment
from dicomweb_gateway.wado.collection import Produced, collect
from dicomweb_gateway.wado.failures import Planned
from dicomweb_gateway.wado.frames import coded_by, servable_syntaxes
from dicomweb_gateway.wado.instances import instance_segments
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.incomplete import mark_incomplete
from dicomweb_gateway.web.links import base_path
from dicomweb_gateway.web.multipart import boundary_for
from dicomweb_gateway.web.negotiation import (
    DICOM,
    ZIP,
    InstanceChoice,
    Representation,
    instance_form,
    negotiate_instances,
)
from dicomweb_gateway.web.parts import Part, represented, streamed_parts
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import not_modified, stream_response
from dicomweb_gateway.web.selection import all_instances, image_set_versions
from dicomweb_gateway.web.services import Services, services
from dicomweb_gateway.web.zipped import zip_pieces

blueprint = Blueprint("instances", __name__)

_UNDATED = datetime(1980, 1, 1)
"""The first moment that a ZIP archive can tell, for image sets of which no change is known."""


@blueprint.get("/studies/<study>")
@blueprint.get("/studies/<study>/series/<series>")
@dated
def retrieve_instances(study: str, series: str | None = None) -> Response:
    """Every instance below a study or series, streamed one by one (W-R1, W-R2, W-9)."""
    gateway = services()
    path = parse_path(study, series)
    choices = negotiate_instances(accepted(request), single_part_allowed=False)
    etag = strong_etag(path.path, repr(choices), *image_set_versions(gateway.archive, path))
    known = not_modified(request, etag)
    if known is not None:
        return known
    planned, refused = _plan(all_instances(gateway, path), choices)
    produced, failed = collect(gateway.archive, planned, gateway.failures)
    if choices[0].zipped:
        response = _archive(gateway, path, produced)
    else:
        # the parts are made after the request is over for Flask, so what they need of it is read now
        base = base_path(request, gateway.config)
        parts = (_part(p.planned.record, p.segments, p.planned.transfer_syntax_uid, base) for p in produced)
        response = streamed_parts(request, parts, DICOM, boundary_for(gateway.config.boundary_key, etag))
    left_out = refused + failed
    if left_out:
        mark_incomplete(response, left_out)
    else:
        response.headers["ETag"] = etag
    return response


@blueprint.get("/studies/<study>/series/<series>/instances/<instance>")
@dated
def retrieve_instance(study: str, series: str, instance: str) -> Response:
    """One instance, in multipart or alone (W-R3, W-8)."""
    gateway = services()
    path = parse_path(study, series, instance)
    choices = negotiate_instances(accepted(request), single_part_allowed=True)
    record = gateway.archive.index.instance(study, series, instance)
    chosen = _form(choices, record)
    syntax = str(chosen.transfer_syntax)
    etag = strong_etag(
        path.path,
        chosen.part_type,
        str(chosen.multipart),
        *coded_by(record, syntax),
        *image_set_versions(gateway.archive, path),
    )
    known = not_modified(request, etag)
    if known is not None:
        return known
    segments = instance_segments(gateway.archive, record, syntax)
    part = _part(record, segments, syntax, base_path(request, gateway.config))
    return represented(request, [part], chosen, gateway.config.boundary_key, etag)


def _archive(gateway: Services, path: ResourcePath, produced: Iterator[Produced]) -> Response:
    """The instances in a ZIP archive, a folder for each series (W-9)."""
    changed = gateway.archive.index.last_change(str(path.study_uid), path.series_uid) or _UNDATED
    entries = (
        (f"{one.planned.record.series_uid}/{one.planned.record.instance_uid}.dcm", one.segments)
        for one in produced
    )
    response = stream_response(zip_pieces(entries, changed), ZIP)
    name = path.series_uid or path.study_uid
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return response


def _form(choices: list[InstanceChoice], record: InstanceRecord) -> Representation:
    return instance_form(choices, servable_syntaxes(record) if record.frames else None)


def _plan(records: list[InstanceRecord], choices: list[InstanceChoice]) -> tuple[list[Planned], list[str]]:
    """What can be produced and the UIDs of what cannot (W-10); NotAcceptable when nothing can."""
    planned, left_out, refusal = [], [], None
    for record in records:
        try:
            form = _form(choices, record)
            planned.append(Planned(record, str(form.transfer_syntax)))
        except NotAcceptable as error:
            refusal = error
            left_out.append(record.instance_uid)
    if not planned and refusal is not None:
        raise refusal
    return planned, left_out


def _part(record: InstanceRecord, segments: Sequence[Segment], syntax: str, base: str) -> Part:
    path = ResourcePath(record.study_uid, record.series_uid, record.instance_uid).path
    return Part(segments, Representation(DICOM, True, syntax).part_type, f"{base}/{path}")
