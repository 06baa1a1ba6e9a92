"""Whether what HealthImaging sent for a frame is whole and right (healthimaging.md 3.6)."""

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.transfer_syntax import is_codestream
from dicomweb_gateway.errors import CorruptFrame
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.pixels.decoders import checksum
from dicomweb_gateway.pixels.optionals import crc32


def check(payload: bytes, wanted: WantedFrame, verify: bool) -> None:
    """Return when the frame is whole and, with `verify`, has the CRC-32 that its metadata states.

    JPEG 2000 codestreams must hold every tile-part and their end mark; other codings show no such end. With a
    CRC-32 that is stated over the stored bytes and right, nothing more is asked: what HealthImaging keeps may
    be broken, and goes out as it is kept.
    Raises CorruptFrame, and UndecodablePixels when the CRC-32 cannot be computed here.
    """
    if not payload:
        raise CorruptFrame("HealthImaging sent an empty frame")
    verify = verify and wanted.checksum is not None
    if verify and crc32(payload) == wanted.checksum:
        return
    uid = wanted.transfer_syntax_uid
    facts = parse_codestream(payload) if is_codestream(uid) else None
    if facts is not None and not facts.complete:
        raise CorruptFrame("HealthImaging sent a frame that is cut short")
    if not verify:
        return
    if wanted.checksum not in checksum(payload, uid, wanted.bytes_per_sample, facts):
        raise CorruptFrame("the frame does not have the CRC-32 that its metadata states")
