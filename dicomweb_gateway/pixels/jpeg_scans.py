"""The scans of a JPEG stream: how many, where they end, and whether the stream is whole (ITU-T T.81 annex B).

libjpeg makes up what is missing: it warns, which nobody hears, and fills the rest with grey.
"""

import re
import struct
from dataclasses import dataclass

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpeg_header import JpegHeader

_MOST_SCANS = 200
"""Encoders write a dozen; each one costs the time of a whole image."""
_MOST_SEGMENTS = 1 << 12
_EOI, _SOS, _DRI = 0xD9, 0xDA, 0xDD
_AFTER_SCAN = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
"""A marker that ends entropy-coded data: neither a stuffed byte nor a restart."""
_RESTARTS = [bytes((0xFF, code)) for code in range(0xD0, 0xD8)]
_NOISE = bytes((0xD3, 0x5A, 0x96, 0x2D, 0xB4, 0x69, 0xC7, 0x1E)) * 8
"""Entropy-coded bits that are not the zeros which libjpeg makes up."""


@dataclass(frozen=True, slots=True)
class JpegScans:
    """`ends` are the offsets behind each scan's entropy-coded data; `has_end`: the EOI follows the last."""

    ends: tuple[int, ...]
    has_end: bool


def read_jpeg_scans(data: bytes, header: JpegHeader) -> JpegScans:
    """Walk all markers. Raises UndecodablePixels without a scan, with too many, or with intervals missing.

    Missing are restart intervals that the frame size calls for, or the rest of a progressive stream that
    stops without its EOI.
    """
    ends: list[int] = []
    position, interval = 2, 0
    for _ in range(_MOST_SEGMENTS):
        found = _AFTER_SCAN.match(data, position)
        if found is None or found[1][0] == _EOI:
            break
        start = found.end()
        length = int.from_bytes(data[start : start + 2], "big")
        payload = data[start + 2 : start + length]
        position = start + length
        if length < 2:
            break
        if found[1][0] == _DRI and len(payload) >= 2:
            interval = struct.unpack_from(">H", payload)[0]
        elif found[1][0] == _SOS:
            begin, position = position, _scan_end(data, position)
            _require_restarts(data[begin:position], interval, payload, header)
            ends.append(position)
            if len(ends) > _MOST_SCANS:
                raise UndecodablePixels(f"JPEG: more than {_MOST_SCANS} scans")
    if not ends:
        raise UndecodablePixels("JPEG: the stream holds no scan")
    ended = _AFTER_SCAN.match(data, ends[-1])
    has_end = ended is not None and ended[1][0] == _EOI
    if header.progressive and not has_end:
        raise UndecodablePixels("JPEG: the stream is cut short")
    return JpegScans(tuple(ends), has_end)


def with_noise(data: bytes, scans: JpegScans) -> bytes:
    """`data` with meaningless bits behind each scan: a decoder that has all it needs does not look at them.

    So another image than that of `data` shows that something is missing there.
    """
    pieces = []
    for start, end in zip((0, *scans.ends), (*scans.ends, len(data)), strict=True):
        pieces += [data[start:end], _NOISE]
    return b"".join(pieces[:-1])


def _scan_end(data: bytes, position: int) -> int:
    found = _AFTER_SCAN.search(data, position)
    return found.start() if found else len(data)


def _require_restarts(coded: bytes, interval: int, scan: bytes, header: JpegHeader) -> None:
    if not interval or not scan:
        return
    units = _units(header, scan[1 : 1 + 2 * scan[0] : 2])
    if sum(map(coded.count, _RESTARTS)) < -(-units // interval) - 1:
        raise UndecodablePixels("JPEG: restart intervals are missing")


def _units(header: JpegHeader, components: bytes) -> int:
    """Minimum coded units of a scan of these components (T.81 A.2); 0 when the frame does not have them."""
    side = 1 if header.lossless else 8
    factors = [header.factors.get(name, (0, 0)) for name in components]
    widest = max((across for across, _ in header.factors.values()), default=0)
    highest = max((down for _, down in header.factors.values()), default=0)
    if not all(across and down for across, down in factors) or not factors:
        return 0
    if len(factors) > 1:
        return -(-header.width // (side * widest)) * -(-header.height // (side * highest))
    across, down = factors[0]
    wide = -(-header.width * across // widest)
    high = -(-header.height * down // highest)
    return -(-wide // side) * -(-high // side)
