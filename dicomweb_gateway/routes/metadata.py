"""Metadata of study, series and instance (dicomweb.md 4.3)."""

from collections.abc import Iterator
from functools import partial

import orjson
from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.xml_model import native_model
from dicomweb_gateway.release import release
from dicomweb_gateway.wado.metadata import json_array, metadata_objects
from dicomweb_gateway.web.compression import accepts_gzip
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.dated import dated
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.multipart import MultipartFraming, boundary_for
from dicomweb_gateway.web.negotiation import negotiate_search
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.resource import ResourcePath, parse_path
from dicomweb_gateway.web.responses import json_stream, not_modified, ready_response
from dicomweb_gateway.web.selection import image_set_versions, selected_outlines
from dicomweb_gateway.web.services import Services, services

blueprint = Blueprint("metadata", __name__)

_RELEASE = release()
"""Another release may write the same metadata in another way."""


@blueprint.get("/studies/<study>/metadata")
@blueprint.get("/studies/<study>/series/<series>/metadata")
@blueprint.get("/studies/<study>/series/<series>/instances/<instance>/metadata")
@dated
def retrieve_metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
    """Every instance below the path in Q-37 order: a JSON array, or a part of XML each (J-1, J-7, W-R6)."""
    gateway = services()
    path = parse_path(study, series, instance)
    chosen = negotiate_search(accepted(request))
    links = base_url(request, gateway.config)
    key = strong_etag(
        _RELEASE, path.path, links, chosen.part_type, *image_set_versions(gateway.archive, path)
    )
    encoding = "gzip" if accepts_gzip(request.headers.get("Accept-Encoding")) else ""
    etag = strong_etag(key, encoding)
    known = not_modified(request, etag, may_be_encoded=True)
    if known is not None:
        return known
    framing = MultipartFraming(boundary_for(gateway.config.boundary_key, key), chosen.part_type)
    content_type = framing.content_type if chosen.multipart else chosen.media_type
    pieces = partial(_pieces, gateway, path, links, framing if chosen.multipart else None)
    _tell_prefetcher(gateway, path)
    # what is made of one instance takes no longer than finding it on disk
    if gateway.ready is None or path.instance_uid is not None:
        return json_stream(request, pieces(), content_type, etag)
    found = gateway.ready.find(key)
    if found is not None:
        return ready_response(request, found, content_type, etag)
    with gateway.ready.turn(key):
        found = gateway.ready.find(key)
        if found is not None:
            return ready_response(request, found, content_type, etag)
        return json_stream(request, pieces(), content_type, etag, partial(gateway.ready.keeping, key))


def _tell_prefetcher(gateway: Services, path: ResourcePath) -> None:
    """Of a series whose metadata are asked the first frames will be wanted next (DESIGN 2)."""
    prefetcher = gateway.archive.prefetcher
    if (
        prefetcher is None
        or path.study_uid is None
        or path.series_uid is None
        or path.instance_uid is not None
    ):
        return
    prefetcher.opened(gateway.archive.index, path.study_uid, path.series_uid)


def _pieces(
    gateway: Services, path: ResourcePath, links: str, framing: MultipartFraming | None
) -> Iterator[bytes]:
    """The body, instance by instance; ResourceNotFound, at once, when there is none."""
    outlines = selected_outlines(gateway.archive.index, path)
    objects = metadata_objects(gateway.archive, outlines, links)
    if framing is None:
        return json_array(objects)
    return framing.whole(native_model(orjson.loads(one)) for one in objects)
