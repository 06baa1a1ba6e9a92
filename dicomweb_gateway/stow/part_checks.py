"""What can be said of a part without looking into its DICOM."""

import hashlib
from typing import BinaryIO

from dicomweb_gateway.dicom.multipart import Part, content_type
from dicomweb_gateway.dicom.store_response import NOT_UNDERSTOOD
from dicomweb_gateway.stow.checking import RefusedPart

_READ_BYTES = 1 << 20
_DICOM = "application/dicom"


def check_headers(part: Part) -> None:
    """RefusedPart for a part that is no DICOM file, or is coded for the transport."""
    media_type, _ = content_type(part.headers.get("content-type", _DICOM))
    if media_type != _DICOM:
        raise RefusedPart(NOT_UNDERSTOOD, f"a part must be {_DICOM}")
    coding = part.headers.get("content-transfer-encoding", "binary").lower()
    if coding not in ("binary", "8bit", "7bit"):
        raise RefusedPart(NOT_UNDERSTOOD, "a part has a transfer encoding that is not taken")


def is_equal(body: BinaryIO, one: Part, other: Part) -> bool:
    """Whether two parts of `body` hold the same bytes."""
    return one.length == other.length and _digest(body, one) == _digest(body, other)


def _digest(body: BinaryIO, part: Part) -> bytes:
    digest = hashlib.sha256()
    with part.open(body) as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return digest.digest()
