"""Flask responses out of plain bodies: JSON, single parts, multipart, 304, errors."""

from collections.abc import Callable, Iterator, Sequence

from flask import Request, Response
from werkzeug.wsgi import ClosingIterator, FileWrapper, wrap_file

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import GatewayError, RangeNotSatisfiable, StoringOff, Unauthenticated
from dicomweb_gateway.wado.body import Lazy, Segment, chunks, content_length, is_static, ready
from dicomweb_gateway.wado.ready_metadata import ReadyAnswer
from dicomweb_gateway.wado.slicing import segments_between
from dicomweb_gateway.web.caching import NO_CACHE, REVALIDATED, Caching
from dicomweb_gateway.web.compression import MINIMUM, accepts_gzip, closing_all, gunzip_pieces, gzip_pieces
from dicomweb_gateway.web.conditional import is_match
from dicomweb_gateway.web.errors import message_of, retry_after_of, status_of
from dicomweb_gateway.web.files import SegmentFile
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.ranges import requested_range

_GATHERED = 4 << 20
_READ = 1 << 16


def json_response(request: Request, body: bytes, media_type: str, etag: str | None = None) -> Response:
    """A JSON or XML answer that is at hand; compressed when the client takes it and it pays (J-8)."""
    response = _json_head(media_type, etag)
    if len(body) >= MINIMUM and accepts_gzip(request.headers.get("Accept-Encoding")):
        response.headers["Content-Encoding"] = "gzip"
        body = b"".join(gzip_pieces([body]))
    response.set_data(body)
    return response


def empty_response() -> Response:
    """A search without a match where that has no body (Q-41)."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    add_vary(response, "Accept")
    return response


def options_response(*methods: str) -> Response:
    """204 that names the `methods` of an address; CORS headers are added to every answer."""
    response = Response(status=204, headers=[("Allow", ", ".join((*methods, "OPTIONS")))])
    del response.headers["Content-Type"]
    return response


def json_stream(
    request: Request,
    pieces: Iterator[bytes],
    media_type: str,
    etag: str | None = None,
    keep: Callable[[Iterator[bytes]], Iterator[bytes]] | None = None,
) -> Response:
    """A JSON or XML answer that is made piece by piece; compressed when the client takes it (J-8).

    `keep` is handed the compressed pieces and gives them back, whether the client takes them or not.

    Up to 4 MB as sent are gathered first: such an answer gets its Content-Length, which keeps the connection
    open, and whatever fails before becomes an error answer (M-9). A larger one streams.
    """
    response = _json_head(media_type, etag)
    packed = accepts_gzip(request.headers.get("Accept-Encoding"))
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    if keep is not None:
        pieces = keep(gzip_pieces(pieces))
        pieces = pieces if packed else gunzip_pieces(pieces)
    elif packed:
        pieces = gzip_pieces(pieces)
    return _gathered(response, pieces)


def packed_stream(pieces: Iterator[bytes], media_type: str, etag: str, caching: Caching) -> Response:
    """Pieces in gzip whatever the client takes, as HealthImaging sends metadata (1.2); gathered as above."""
    headers = [("Content-Type", media_type), ("Content-Encoding", "gzip"), ("ETag", etag), *caching.headers]
    return _gathered(Response(status=200, headers=headers), gzip_pieces(pieces))


def ready_response(
    request: Request, answer: ReadyAnswer, media_type: str, etag: str | None = None
) -> Response:
    """A JSON or XML answer that lies ready; the server sends it as a file, unless it must be unpacked."""
    response = _json_head(media_type, etag)
    response.direct_passthrough = True
    length: int | None = answer.length
    if accepts_gzip(request.headers.get("Accept-Encoding")):
        response.headers["Content-Encoding"] = "gzip"
        response.response = wrap_file(request.environ, answer.file)
    else:
        length = answer.plain_length
        # a generator that nobody has begun runs nothing of its own when it is closed
        pieces = gunzip_pieces(FileWrapper(answer.file, _READ))
        response.response = ClosingIterator(pieces, answer.file.close)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    if request.method == "HEAD":
        answer.file.close()
        response.response = []
    return response


def body_response(
    request: Request,
    segments: Sequence[Segment],
    content_type: str,
    etag: str | None = None,
    caching: Caching = REVALIDATED,
) -> Response:
    """A body of known length: stored bytes go out as a file, what is to be made by this thread.

    With `etag`, a strong tag, a single byte range of it is answered 206 (F-7); RangeNotSatisfiable.
    """
    total = content_length(segments)
    asked = requested_range(request, etag, total) if etag is not None else None
    headers = [("Content-Type", content_type), *caching.headers]
    if etag is not None:
        headers += [("ETag", etag), ("Accept-Ranges", "bytes")]
    if asked is not None:
        headers.append(("Content-Range", asked.content_range))
        segments = list(segments_between(segments, asked.start, asked.end))
        total = asked.end - asked.start
    headers.append(("Content-Length", str(total)))
    response = Response(status=200 if asked is None else 206, headers=headers, direct_passthrough=True)
    if request.method == "HEAD":
        return response
    if all(isinstance(segment, bytes) for segment in segments):
        response.response = [segment for segment in segments if isinstance(segment, bytes)]
    elif is_static(segments):
        file = SegmentFile([segment for segment in segments if not isinstance(segment, Lazy)])
        # what cannot be had of the first frames is thus known before the first byte goes out (M-9)
        file.fill()
        response.response = wrap_file(request.environ, file)  # type: ignore[arg-type]
    else:
        response.response = chunks(ready(segments))
    return response


def stream_response(pieces: Iterator[bytes], content_type: str) -> Response:
    """A body of unknown length; the first piece is made before this returns (M-9)."""
    first = next(pieces, b"")
    response = Response(_joined(first, pieces), status=200, content_type=content_type)
    response.direct_passthrough = True
    add_vary(response, "Accept")
    response.headers["Cache-Control"] = NO_CACHE
    return response


def not_modified(
    request: Request, etag: str, may_be_encoded: bool = False, caching: Caching = REVALIDATED
) -> Response | None:
    """304 without a body when the client holds `etag`, else None (H-8).

    `may_be_encoded`: the full answer varies with Accept-Encoding too, as JSON does.
    """
    if not is_match(request.environ.get("HTTP_IF_NONE_MATCH"), etag):
        return None
    response = Response(status=304, headers=[("ETag", etag), *caching.headers])
    if may_be_encoded:
        add_vary(response, "Accept-Encoding")
    return response


def error_response(status: int, message: str, retry_after: int | None = None) -> Response:
    """The small JSON body of every error (C-7)."""
    body = dumps({"status": status, "message": message})
    response = Response(body, status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def gateway_error_response(error: GatewayError, pass_through: bool = False) -> Response:
    """The answer to an error of ours; a refusal of the Accept list varies with it (H-6).

    `pass_through`: HealthImaging's own statuses, where its own address was asked (healthimaging.md 7.1).
    """
    response = error_response(status_of(error, pass_through), message_of(error), retry_after_of(error))
    if response.status_code == 406:
        add_vary(response, "Accept")
    if isinstance(error, Unauthenticated):
        for challenge in error.challenges:
            response.headers.add("WWW-Authenticate", challenge)
    if isinstance(error, StoringOff):
        response.headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.total}"
    return response


def _gathered(response: Response, pieces: Iterator[bytes]) -> Response:
    """`response` with the pieces: at once up to 4 MB, else as they come."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) > _GATHERED:
            response.response = _joined(bytes(gathered), pieces)
            response.direct_passthrough = True
            return response
    response.set_data(bytes(gathered))
    return response


def _json_head(media_type: str, etag: str | None) -> Response:
    headers = [
        ("Content-Type", media_type),
        ("Vary", "Accept, Accept-Encoding"),
        ("Cache-Control", NO_CACHE),
    ]
    if etag is not None:
        headers.append(("ETag", etag))
    return Response(status=200, headers=headers)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """`chain`, but closing it closes `rest`."""
    with closing_all(rest):
        yield first
        yield from rest
