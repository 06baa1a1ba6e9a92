"""Encoders, one per coding family: decoded samples to a bare stream.

HTJ2K and JPEG 2000 as HealthImaging uses them, and rewrites of their streams (healthimaging.md 3.2-3.4).
Nothing here looks whether a stream comes back bit for bit, see `transcode`.
"""

import struct

import numpy as np

from dicomweb_gateway.dicom.codestream import TLM, header_segments, parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import JP2_SIGNATURE, is_boxed, unbox
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.optionals import (
    Samples,
    decode_openjpeg,
    encode_baseline_jpeg,
    encode_charls,
    encode_lossless_jpeg,
    encode_openjpeg,
    encode_openjph,
)

BASE_RESOLUTION = 64
"""Pixels: width or height of the smallest resolution is at most this (PS3.5 10.18)."""

_GREYSCALE, _SRGB = 17, 16

_SPIFF_START = b"\xff\xd8\xff\xe8\x00\x20SPIFF\x00"
_SPIFF_LENGTH = 44
"""Bytes of CharLS's SPIFF wrapping; the two that follow, inside its last entry, are the stream's SOI."""


def decompositions_for(rows: int, columns: int) -> int:
    """Smallest n from 1 up with min(rows, columns) / 2**n <= 64, as the base resolution of PS3.5 10.18.

    Not 0: imagecodecs takes that for its default of 5, and more decompositions than a tiny image has pixels
    for stop OpenJPH in browsers.
    """
    n = 1
    while min(rows, columns) > BASE_RESOLUTION << n:
        n += 1
    return n


def encode_htj2k(samples: Samples, *, colour_transform: bool = True) -> bytes:
    """HTJ2K lossless RPCL (1.2.840.10008.1.2.4.202), bare codestream with TLM, a tile-part per resolution.

    `samples`: (rows, columns) or (rows, columns, 3), integers of 8, 16 or 32 bits; comes back bit for bit.
    Three samples go through the reversible colour transform inside, which decoders undo, unless
    `colour_transform` is false. Raises UndecodablePixels for anything else (HTJ2K has no floats).
    """
    prepared = _encodable(samples, 4)
    return encode_openjph(prepared, decompositions_for(*samples.shape[:2]), colour_transform=colour_transform)


def encode_j2k(samples: Samples, *, precision: int | None = None, colour_transform: bool = True) -> bytes:
    """JPEG 2000 lossless (1.2.840.10008.1.2.4.90), bare codestream; `samples` as for `encode_htj2k`.

    `precision` is that of the codestream in bits, None for the width of the dtype; every sample must fit
    into it. Raises UndecodablePixels also for 32-bit values that OpenJPEG cannot keep (about 26 bits).
    """
    prepared = _encodable(samples, 4)
    resolutions = decompositions_for(*samples.shape[:2]) + 1
    stream = encode_openjpeg(prepared, resolutions, precision=precision, colour_transform=colour_transform)
    if prepared.dtype.itemsize > 2 and not np.array_equal(decode_openjpeg(stream), prepared):
        raise UndecodablePixels("JPEG 2000: OpenJPEG cannot keep these 32-bit values")
    return stream


def encode_jpegls(samples: Samples) -> bytes:
    """JPEG-LS lossless (1.2.840.10008.1.2.4.80), a bare stream, colour interleaved by sample.

    `samples`: (rows, columns) or (rows, columns, 3), integers of 8 or 16 bits. The precision is the width
    of the dtype and signed samples are coded as their bits, so whatever stands in the words survives.
    Raises UndecodablePixels for anything else.
    """
    stream = encode_charls(_as_unsigned(_encodable(samples, 2)))
    return stream[_SPIFF_LENGTH:] if stream.startswith(_SPIFF_START) else stream


def encode_jpeg_lossless(samples: Samples, *, is_rgb: bool = True) -> bytes:
    """JPEG Lossless, process 14 selection value 1 (1.2.840.10008.1.2.4.70); `samples` as `encode_jpegls`.

    Colour is coded as it is; the stream says RGB of itself, or nothing when `is_rgb` is false.
    """
    prepared = _as_unsigned(_encodable(samples, 2))
    # said to be YCbCr it would get two Huffman tables, on which decoders do not agree
    return encode_lossless_jpeg(prepared, _colours(prepared, is_rgb, "UNKNOWN"))


def encode_jpeg_baseline(samples: Samples, *, is_rgb: bool = True, quality: int = 90) -> bytes:
    """JPEG Baseline (1.2.840.10008.1.2.4.50), lossy: unsigned 8-bit `samples`, grey or three a pixel.

    Colour goes out as YCbCr 4:2:2, from RGB when `is_rgb`. `quality` is 1 to 100. Raises UndecodablePixels.
    """
    if samples.dtype != np.uint8:
        raise UndecodablePixels(f"JPEG Baseline holds no samples of {samples.dtype}")
    prepared = _encodable(samples, 1)
    return encode_baseline_jpeg(prepared, quality, _colours(prepared, is_rgb, "YCBCR"))


def _colours(samples: Samples, is_rgb: bool, other: str) -> str | None:
    if samples.ndim == 2:
        return None
    return "RGB" if is_rgb else other


def _encodable(samples: Samples, width: int) -> Samples:
    """`samples` in native byte order and C order.

    Raises UndecodablePixels for what no encoder takes, and for words of more than `width` bytes.
    """
    colour = samples.ndim == 3 and samples.shape[2] == 3
    fits = samples.dtype.kind in "iu" and samples.dtype.itemsize <= width
    if not fits or not (samples.ndim == 2 or colour):
        raise UndecodablePixels(f"no lossless coding for samples of {samples.dtype} {samples.shape}")
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))


def _as_unsigned(samples: Samples) -> Samples:
    """The same bits as unsigned words: JPEG and JPEG-LS know no sign."""
    return samples.view(f"u{samples.dtype.itemsize}")


def box_jp2(codestream: bytes) -> bytes:
    """`codestream` in the JP2 boxes of HealthImaging's older frames: signature, ftyp, jp2h, open-ended jp2c.

    85 bytes of boxes for every image. A boxed one comes back unchanged. Raises CorruptFrame.
    """
    if is_boxed(codestream):
        return codestream
    facts = parse_codestream(codestream)
    depth = (facts.precision - 1) | (0x80 if facts.signed else 0)
    header = struct.pack(">IIHBBBB", facts.height, facts.width, facts.components, depth, 7, 1, 0)
    colour = struct.pack(">BBBI", 1, 0, 0, _SRGB if facts.components == 3 else _GREYSCALE)
    boxes = (
        JP2_SIGNATURE,
        _box(b"ftyp", b"jp2 " + struct.pack(">I", 0) + b"jp2 "),
        _box(b"jp2h", _box(b"ihdr", header) + _box(b"colr", colour)),
        struct.pack(">I4s", 0, b"jp2c"),
    )
    return b"".join(boxes) + codestream


def _box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(contents), kind) + contents


def drop_tlm(codestream: bytes) -> bytes:
    """The bare codestream without TLM markers and with every TNsot 0 (unknown), as old frames have it.

    Raises CorruptFrame when `codestream` cannot be parsed; boxes are taken off.
    """
    stream = unbox(codestream)
    facts = parse_codestream(stream)
    body = bytearray(stream)
    for part in facts.tile_parts:
        body[part.start + 11] = 0
    kept = [stream[start:end] for marker, start, end in header_segments(stream) if marker != TLM]
    return b"".join((stream[:2], *kept, bytes(body[facts.header_end :])))
