"""Answers of one or several parts out of segments (dicomweb.md section 3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flask import Request, Response

from dicomweb_gateway.wado.body import Segment, chunks, content_length, ready
from dicomweb_gateway.web.multipart import MultipartFraming, boundary_for
from dicomweb_gateway.web.negotiation import Representation
from dicomweb_gateway.web.responses import body_response, stream_response

LEVEL_ENDS = "Resolution-Level-Ends"
"""Header of an answer with one codestream: for each resolution level, smallest first, how many bytes of the
body from its start hold it and all before it. So `Range: bytes=0-{end - 1}` asks for just these levels."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part's payload, its full Content-Type and its absolute path without host (W-11).

    `level_ends`: where each resolution level of a codestream ends, in bytes of the payload; else empty.
    """

    segments: Sequence[Segment]
    content_type: str
    location: str | None = None
    level_ends: Sequence[int] = ()


def single_part(request: Request, part: Part, etag: str | None) -> Response:
    """The part alone, its type as the answer's."""
    response = body_response(request, part.segments, part.content_type, etag)
    if part.location is not None:
        response.headers.add("Content-Location", part.location)
    _tell_level_ends(response, [part], 0)
    return response


def all_parts(request: Request, parts: Sequence[Part], media_type: str, key: bytes, etag: str) -> Response:
    """Parts that are all at hand, with Content-Length (M-7); `etag` names content and representation."""
    framing = MultipartFraming(boundary_for(key, etag), media_type)
    heads = framing.heads((p.content_type, content_length(p.segments), p.location) for p in parts)
    segments: list[Segment] = []
    for head, part in zip(heads, parts, strict=True):
        segments += [head, *part.segments]
    segments.append(framing.tail)
    response = _located(request, body_response(request, segments, framing.content_type, etag))
    _tell_level_ends(response, parts, len(heads[0]))
    return response


def represented(
    request: Request, parts: Sequence[Part], chosen: Representation, key: bytes, etag: str
) -> Response:
    """One part alone or all in multipart, as negotiated."""
    if chosen.multipart:
        return all_parts(request, parts, chosen.media_type, key, etag)
    return single_part(request, parts[0], etag)


def streamed_parts(request: Request, parts: Iterable[Part], media_type: str, boundary: str) -> Response:
    """Parts that are made one after the other while the answer goes out (M-8, M-9)."""
    framing = MultipartFraming(boundary, media_type)
    return _located(request, stream_response(_pieces(framing, parts), framing.content_type))


def _tell_level_ends(response: Response, parts: Sequence[Part], payload_start: int) -> None:
    """LEVEL_ENDS for an answer of one part, whose payload begins at byte `payload_start` of the body."""
    if len(parts) == 1 and parts[0].level_ends:
        ends = ", ".join(str(payload_start + end) for end in parts[0].level_ends)
        response.headers.add(LEVEL_ENDS, ends)


def _located(request: Request, response: Response) -> Response:
    """Names the whole by the path that was asked, without host (W-11)."""
    response.headers.add("Content-Location", quote(request.path, safe="/,"))
    return response


def _pieces(framing: MultipartFraming, parts: Iterable[Part]) -> Iterator[bytes]:
    for number, part in enumerate(parts):
        segments = ready(part.segments)
        yield framing.head(part.content_type, content_length(segments), part.location, number == 0)
        yield from chunks(segments)
    yield framing.tail
