"""JPEG and JPEG-LS header facts: size, depth and the colour that the stream itself claims to hold.

ITU-T T.81 annex B (SOF), T.87 C.2.2 (SOF55), JFIF 1.02, and Adobe's APP14.
"""

import struct
from dataclasses import dataclass

from dicomweb_gateway.errors import UndecodablePixels

_SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_FIRST_ARITHMETIC, _LAST_ARITHMETIC = 0xC9, 0xCF
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF, 0xF7}
_ALONE = {0x01, *range(0xD0, 0xD9)}
_APP0, _APP14 = 0xE0, 0xEE
_ADOBE_LENGTH = 12
"""Bytes of a whole Adobe segment; decoders pass over a shorter one, so it says nothing about colour."""
_RGB_IDS = (b"RGB", b"rgb")
_MOST_STEPS = 1 << 16
"""Segments, lone markers and fill bytes before the frame header; without an end they could go on for long."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """`precision` in bits; `colour`: "RGB" or "YCBCR" when the stream's markers say so, else None.

    `process` is the frame header's marker code, 0xC0 for baseline; `factors` are the horizontal and vertical
    sampling factors of each component by its identifier.
    """

    width: int
    height: int
    components: int
    precision: int
    process: int
    colour: str | None
    factors: dict[int, tuple[int, int]]

    @property
    def lossless(self) -> bool:
        """Whether samples are predicted, not transformed (T.81 annex H, T.87)."""
        return self.process in _LOSSLESS

    @property
    def progressive(self) -> bool:
        """Whether coefficients come in several passes (T.81 annex G)."""
        return self.process in _PROGRESSIVE

    @property
    def arithmetic(self) -> bool:
        """Whether entropy coding is arithmetic: decoders then read past the end on purpose (T.81 D.2)."""
        return _FIRST_ARITHMETIC <= self.process <= _LAST_ARITHMETIC


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Walk the markers up to the frame header. Raises UndecodablePixels without a whole one."""
    colour: str | None = None
    try:
        for marker, payload in _segments(data):
            if marker == _APP0 and payload[:4] == b"JFIF":
                colour = "YCBCR"
            elif marker == _APP14 and payload[:5] == b"Adobe" and len(payload) >= _ADOBE_LENGTH:
                colour = {0: "RGB", 1: "YCBCR"}.get(payload[11], colour)
            elif marker in _SOF:
                return _frame_header(marker, payload, colour)
    except (struct.error, IndexError) as error:
        raise UndecodablePixels("JPEG: the header is torn") from error
    raise UndecodablePixels("JPEG: no frame header")


def _segments(data: bytes) -> "list[tuple[int, bytes]]":
    """(marker code, payload) of the segments up to and including the frame header."""
    found: list[tuple[int, bytes]] = []
    position = 2
    for _ in range(_MOST_STEPS):
        if data[:2] != b"\xff\xd8" or position + 4 > len(data) or data[position] != 0xFF:
            break
        code = data[position + 1]
        if code == 0xFF:
            position += 1
            continue
        if code in _ALONE:
            position += 2
            continue
        length = struct.unpack_from(">H", data, position + 2)[0]
        found.append((code, data[position + 4 : position + 2 + length]))
        if code in _SOF or length < 2:
            break
        position += 2 + length
    return found


def _frame_header(marker: int, payload: bytes, colour: str | None) -> JpegHeader:
    precision, height, width, components = struct.unpack_from(">BHHB", payload)
    identifiers = bytes(payload[6 + 3 * n] for n in range(components))
    sampling = [payload[7 + 3 * n] for n in range(components)]
    factors = {name: (both >> 4, both & 15) for name, both in zip(identifiers, sampling, strict=True)}
    if components != 3:
        colour = None
    elif identifiers in _RGB_IDS:
        colour = "RGB"
    return JpegHeader(width, height, components, precision, marker, colour, factors)
