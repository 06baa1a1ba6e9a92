"""The body of a request as a file that can seek, never as a whole in memory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

from flask import Request

from dicomweb_gateway.dicom.multipart import content_type
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import (
    InvalidRequest,
    PayloadTooLarge,
    StorageUnavailable,
    UnsupportedMediaType,
)

_DICOM = "application/dicom"
_READ_BYTES = 1 << 20


def store_boundary(request: Request) -> str:
    """The boundary of a body of DICOM files (PS3.18 10.5.1); UnsupportedMediaType for any other body."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("the body must not be compressed")
    media_type, options = content_type(request.headers.get("Content-Type", ""))
    if media_type != "multipart/related":
        raise UnsupportedMediaType(f'the body must be multipart/related; type="{_DICOM}"')
    kind = options.get("type", _DICOM).lower()
    if kind != _DICOM:
        raise UnsupportedMediaType(f"the parts of the body must be {_DICOM}")
    if not options.get("boundary"):
        raise InvalidRequest("Content-Type has no boundary")
    return options["boundary"]


@contextmanager
def opened_body(request: Request, most_bytes: int, space: SpoolSpace) -> Iterator[BinaryIO]:
    """The body from its first byte on; PayloadTooLarge beyond `most_bytes`, StorageUnavailable.

    Our own server has put it into a file already. Any other hands it over as it comes: then it goes into a
    file without a name in `space`.
    """
    if (request.content_length or 0) > most_bytes:
        raise PayloadTooLarge(f"the body is larger than {most_bytes} bytes")
    source: Any = request.environ["wsgi.input"]
    if hasattr(source, "seekable") and source.seekable():
        source.seek(0)
        yield source
        return
    request.max_content_length = most_bytes
    with ExitStack() as held:
        with _disk_errors():
            target = held.enter_context(space.new_file())
            while data := request.stream.read(_READ_BYTES):
                space.require(target.fileno(), len(data), "the body of this request")
                rest = memoryview(data)
                while rest:
                    rest = rest[target.write(rest) :]
        target.seek(0)
        yield target


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable("the disk does not take the body of this request") from error
