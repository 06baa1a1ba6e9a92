"""Answers that are no pictures: videos and documents in the type that they have (dicomweb.md R-4, B-3)."""

from flask import Request, Response

from dicomweb_gateway.dicom.transfer_syntax import OCTET_STREAM, transfer_syntax
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import version_of
from dicomweb_gateway.wado.documents import encapsulated_document
from dicomweb_gateway.wado.frames import stored_segments
from dicomweb_gateway.web.conditional import strong_etag
from dicomweb_gateway.web.hardening import DOCUMENT_POLICY
from dicomweb_gateway.web.negotiation import Representation, negotiate_rendered
from dicomweb_gateway.web.parts import Part, represented
from dicomweb_gateway.web.requests import accepted
from dicomweb_gateway.web.responses import not_modified
from dicomweb_gateway.web.services import Services

_HARMLESS = (OCTET_STREAM, "application/pdf")


def video_response(request: Request, gateway: Services, record: InstanceRecord, location: str) -> Response:
    """The stored stream as it is, from disk; NotAcceptable when the client wants another type (R-4)."""
    syntax = transfer_syntax(record.transfer_syntax_uid)
    chosen = negotiate_rendered(accepted(request), [syntax.media_type if syntax else OCTET_STREAM])
    ids = [frame.key.frame_id for frame in record.frames]
    etag = strong_etag(record.image_set.image_set_id, *ids, "rendered", repr(chosen))
    known = not_modified(request, etag)
    if known is not None:
        return known
    segments = list(stored_segments(gateway.archive, record, record.frames))
    part = Part(segments, chosen.media_type, location)
    return represented(request, [part], chosen, gateway.config.boundary_key, etag)


def document_response(request: Request, gateway: Services, record: InstanceRecord, location: str) -> Response:
    """The document that the instance wraps; NotAcceptable when it wraps none (R-4, R-5)."""
    data, media_type = encapsulated_document(gateway.archive, record)
    chosen = negotiate_rendered(accepted(request), [media_type])
    ref = record.image_set
    etag = strong_etag(ref.image_set_id, version_of(gateway.archive, ref), location, repr(chosen))
    response = not_modified(request, etag) or represented(
        request, [Part([data], chosen.media_type, location)], chosen, gateway.config.boundary_key, etag
    )
    shield(response, chosen)
    return response


def shield(response: Response, chosen: Representation) -> None:
    """Keep a document out of a file from acting as a page of this gateway.

    Browsers run no script of what they would show as a page; `harden` has them take the named type only.
    """
    if not chosen.multipart and chosen.media_type not in _HARMLESS:
        response.headers["Content-Security-Policy"] = DOCUMENT_POLICY
