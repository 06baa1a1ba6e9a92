"""Transfer syntaxes: the one table that ties UID, media type, losslessness and coding family.

PS3.5 section 10 and annex A; PS3.18 tables 8.7.3-2 to -5; dicomweb.md F-4; healthimaging.md 1.4, 2.7.
"""

from dataclasses import dataclass
from typing import Literal

Family = Literal["native", "rle", "jpeg", "jpegls", "j2k", "htj2k", "jpegxl", "video", "deflated-frame"]

IMPLICIT_VR_LE = "1.2.840.10008.1.2"
EXPLICIT_VR_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BE = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

OCTET_STREAM = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax; `media_type` is the type of a frame part in this coding (F-4)."""

    uid: str
    name: str
    media_type: str
    lossless: bool
    family: Family

    @property
    def encapsulated(self) -> bool:
        """Whether pixel data in this syntax is encapsulated in fragments (PS3.5 A.4)."""
        return self.family != "native"


def _row(tail: str, name: str, media_type: str, lossless: bool, family: Family) -> TransferSyntax:
    return TransferSyntax(f"1.2.840.10008.{tail}", name, media_type, lossless, family)


_ROWS = (
    _row("1.2", "Implicit VR Little Endian", OCTET_STREAM, True, "native"),
    _row("1.2.1", "Explicit VR Little Endian", OCTET_STREAM, True, "native"),
    _row("1.2.1.99", "Deflated Explicit VR Little Endian", OCTET_STREAM, True, "native"),
    _row("1.2.2", "Explicit VR Big Endian", OCTET_STREAM, True, "native"),
    _row("1.2.5", "RLE Lossless", "image/dicom-rle", True, "rle"),
    _row("1.2.4.50", "JPEG Baseline 8 bit", "image/jpeg", False, "jpeg"),
    _row("1.2.4.51", "JPEG Extended 12 bit", "image/jpeg", False, "jpeg"),
    _row("1.2.4.53", "JPEG Spectral Selection", "image/jpeg", False, "jpeg"),
    _row("1.2.4.55", "JPEG Full Progression", "image/jpeg", False, "jpeg"),
    _row("1.2.4.57", "JPEG Lossless", "image/jpeg", True, "jpeg"),
    _row("1.2.4.70", "JPEG Lossless SV1", "image/jpeg", True, "jpeg"),
    _row("1.2.4.80", "JPEG-LS Lossless", "image/jls", True, "jpegls"),
    _row("1.2.4.81", "JPEG-LS Near Lossless", "image/jls", False, "jpegls"),
    _row("1.2.4.90", "JPEG 2000 Lossless", "image/jp2", True, "j2k"),
    _row("1.2.4.91", "JPEG 2000", "image/jp2", False, "j2k"),
    _row("1.2.4.92", "JPEG 2000 Multi-component Lossless", "image/jpx", True, "j2k"),
    _row("1.2.4.93", "JPEG 2000 Multi-component", "image/jpx", False, "j2k"),
    _row("1.2.4.110", "JPEG XL Lossless", "image/jxl", True, "jpegxl"),
    _row("1.2.4.111", "JPEG XL JPEG Recompression", "image/jxl", False, "jpegxl"),
    _row("1.2.4.112", "JPEG XL", "image/jxl", False, "jpegxl"),
    _row("1.2.4.201", "HTJ2K Lossless", "image/jphc", True, "htj2k"),
    _row("1.2.4.202", "HTJ2K Lossless RPCL", "image/jphc", True, "htj2k"),
    _row("1.2.4.203", "HTJ2K", "image/jphc", False, "htj2k"),
    _row("1.2.8.1", "Deflated Image Frame", OCTET_STREAM, True, "deflated-frame"),
    _row("1.2.4.100", "MPEG2 Main Level", "video/mpeg", False, "video"),
    _row("1.2.4.100.1", "MPEG2 Main Level, fragmentable", "video/mpeg", False, "video"),
    _row("1.2.4.101", "MPEG2 High Level", "video/mpeg", False, "video"),
    _row("1.2.4.101.1", "MPEG2 High Level, fragmentable", "video/mpeg", False, "video"),
    _row("1.2.4.102", "MPEG-4 AVC/H.264 High 4.1", "video/mp4", False, "video"),
    _row("1.2.4.102.1", "MPEG-4 AVC/H.264 High 4.1, fragmentable", "video/mp4", False, "video"),
    _row("1.2.4.103", "MPEG-4 AVC/H.264 BD 4.1", "video/mp4", False, "video"),
    _row("1.2.4.103.1", "MPEG-4 AVC/H.264 BD 4.1, fragmentable", "video/mp4", False, "video"),
    _row("1.2.4.104", "MPEG-4 AVC/H.264 High 4.2 2D", "video/mp4", False, "video"),
    _row("1.2.4.104.1", "MPEG-4 AVC/H.264 High 4.2 2D, fragmentable", "video/mp4", False, "video"),
    _row("1.2.4.105", "MPEG-4 AVC/H.264 High 4.2 3D", "video/mp4", False, "video"),
    _row("1.2.4.105.1", "MPEG-4 AVC/H.264 High 4.2 3D, fragmentable", "video/mp4", False, "video"),
    _row("1.2.4.106", "MPEG-4 AVC/H.264 Stereo 4.2", "video/mp4", False, "video"),
    _row("1.2.4.106.1", "MPEG-4 AVC/H.264 Stereo 4.2, fragmentable", "video/mp4", False, "video"),
    _row("1.2.4.107", "HEVC/H.265 Main 5.1", "video/H265", False, "video"),
    _row("1.2.4.108", "HEVC/H.265 Main 10 5.1", "video/H265", False, "video"),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {row.uid: row for row in _ROWS}


def transfer_syntax(uid: str) -> TransferSyntax | None:
    """The row of `uid`, None when we do not know the syntax."""
    return TRANSFER_SYNTAXES.get(uid)


def is_codestream(uid: str) -> bool:
    """Whether frames in this syntax are JPEG 2000 or HTJ2K codestreams, perhaps in boxes."""
    row = transfer_syntax(uid)
    return row is not None and row.family in ("j2k", "htj2k")
