"""Decode one frame of any transfer syntax into stored samples; CRC-32 values that check a stored frame.

A new syntax is a row in `dicom/transfer_syntax.py` and, for a new family, a row in `_DECODERS`.

Headers are read first, and what contradicts the description or is out of proportion is refused. Then tame
streams are decoded in the caller's thread, where that takes a millisecond: native, deflated and RLE frames,
baseline JPEG in one scan, and reversible HTJ2K of plain structure. The others go to a decoder process
(`guarded`).
"""

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np

from dicomweb_gateway.dicom.codestream import Codestream, parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import unbox
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_BE,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K_LOSSLESS,
    transfer_syntax,
)
from dicomweb_gateway.errors import CorruptFrame, UndecodablePixels
from dicomweb_gateway.pixels.codestream_guard import guard_structure, has_open_part, is_plain
from dicomweb_gateway.pixels.guarded import guarded
from dicomweb_gateway.pixels.jpeg_header import JpegHeader, read_jpeg_header
from dicomweb_gateway.pixels.jpeg_scans import JpegScans, read_jpeg_scans
from dicomweb_gateway.pixels.jpegxl_header import read_jpegxl_size
from dicomweb_gateway.pixels.native import decode_native, native_bytes
from dicomweb_gateway.pixels.optionals import (
    Samples,
    crc32,
    decode_jpeg,
    decode_jpegls,
    decode_jpegxl,
    decode_lossless_jpeg,
    decode_openjpeg,
    decode_openjph,
)
from dicomweb_gateway.pixels.rle import decode_rle
from dicomweb_gateway.pixels.samples import fit, guard_header, guard_size
from dicomweb_gateway.pixels.whole_jpegs import WholeJpegs

__all__ = ["checksum", "decode_frame", "decoded_photometric", "native_bytes"]

CHECKED_AFTER_DECODING = {"", HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, J2K_LOSSLESS}
"""Stored syntaxes whose HealthImaging checksum covers decoded samples; "" stands for a missing UID, which
HealthImaging uses for its own HTJ2K (healthimaging.md 3.6)."""

_SEQUENTIAL = (0xC0, 0xC1)
"""Frame headers of sequential Huffman JPEG."""

_WHOLE = WholeJpegs()

_PADDING_BYTES = 64
"""How far before the end of the data the end mark of a stream may stand."""


def decode_frame(
    data: bytes, transfer_syntax_uid: str, pixels: PixelDescription, *, reduce: int = 0
) -> Samples:
    """One coded frame as stored samples: `pixels.frame_shape` of `pixels.dtype`, little endian.

    Colour is pixel-interleaved and stays as DICOM describes it, except what `decoded_photometric` says;
    words are as stored, bits above BitsStored included (`samples.mask_samples` drops them); 1-bit frames
    come as 0 and 1.

    `reduce` asks for an image smaller by 2**reduce (sizes rounded up). Only reversible HTJ2K obeys, as far
    as it has resolutions; every other coding answers full size, so callers look at the shape. With
    `reduce` a stream may also end behind any tile-part (`tlm.levels`).

    Raises UndecodablePixels: unknown or unsupported syntax (video), torn data, a stream that contradicts the
    description, or one that a decoder does not get through in time or memory. DecodersUnavailable: no decoder
    process is free.
    """
    row = transfer_syntax(transfer_syntax_uid)
    decoder = _DECODERS.get(row.family) if row else None
    if decoder is None:
        raise UndecodablePixels(f"no decoder for transfer syntax {transfer_syntax_uid}")
    guard_size(pixels, len(data))
    try:
        samples = decoder(data, transfer_syntax_uid, pixels, reduce)
    except UndecodablePixels as error:
        raise UndecodablePixels(f"{row.name if row else transfer_syntax_uid}: {error}") from error
    if not reduce and samples.shape != pixels.frame_shape:
        raise UndecodablePixels(f"the decoder gave {samples.shape} instead of {pixels.frame_shape}")
    return samples


def reductions_of(data: bytes, transfer_syntax_uid: str) -> int:
    """How far `reduce` of `decode_frame` is obeyed for this frame; 0 for most codings.

    Raises UndecodablePixels for a torn header.
    """
    row = transfer_syntax(transfer_syntax_uid)
    if row is None or _DECODERS.get(row.family) is not _jpeg2000:
        return 0
    return _reductions(*_codestream(data))


def decoded_photometric(transfer_syntax_uid: str, pixels: PixelDescription) -> str:
    """Photometric interpretation of what `decode_frame` returns.

    Codecs undo their own transform (YBR_RCT and YBR_ICT give RGB), chroma comes at full resolution
    (YBR_FULL_422 gives YBR_FULL), and JPEG XL hands out RGB for every colour image.
    """
    told = pixels.photometric_interpretation
    row = transfer_syntax(transfer_syntax_uid)
    if not told.startswith("YBR"):
        return told
    if told in ("YBR_RCT", "YBR_ICT") or (row is not None and row.family == "jpegxl"):
        return "RGB"
    return "YBR_FULL" if told == "YBR_FULL_422" else told


def checksum(
    data: bytes, transfer_syntax_uid: str, bytes_per_sample: int, facts: Codestream | None = None
) -> frozenset[int]:
    """CRC-32 values (unsigned) that HealthImaging may give for this stored frame (healthimaging.md 3.6).

    HTJ2K lossless and JPEG 2000 lossless: over the decoded samples, little endian, pixel-interleaved. The
    codec's own sample width and `bytes_per_sample` (BitsAllocated / 8) both count, since nobody has
    published which one HealthImaging takes when they differ. Any other syntax: over the stored bytes.
    `facts` are those of the codestream in `data`, for who knows them already.
    Raises UndecodablePixels when the frame does not decode, DecodersUnavailable when nobody is free to try.
    """
    if transfer_syntax_uid not in CHECKED_AFTER_DECODING:
        return frozenset({crc32(data)})
    stream, facts = _codestream(data) if facts is None else (unbox(data), facts)
    if not facts.complete:
        raise UndecodablePixels("the codestream is cut short")
    samples = _decode_stream(stream, facts)
    widths = {samples.dtype.itemsize, max(bytes_per_sample, samples.dtype.itemsize)}
    return frozenset(
        crc32(np.ascontiguousarray(samples, f"<{samples.dtype.kind}{width}")) for width in widths
    )


def _native(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    return decode_native(data, pixels, big_endian=uid == EXPLICIT_VR_BE)


def _deflated(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    """Raw deflate around one native frame (PS3.5 A.4.16); inflates no further than the frame is long."""
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, pixels.frame_length)
    except zlib.error as error:
        raise UndecodablePixels(str(error)) from error
    return decode_native(inflated, pixels)


def _rle(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    return decode_rle(data, pixels)


def _jpeg(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    header = read_jpeg_header(data)
    guard_header(pixels, header.width, header.height, header.components)
    scans = read_jpeg_scans(data, header)
    source, target = _jpeg_colours(header, pixels.photometric_interpretation)
    made = source if source == "RGB" else target
    by_turbo = partial(_run_jpeg, header, scans, pixels, source, made)
    try:
        samples = _WHOLE.decode(by_turbo, ("turbo", source, made), data, header, scans)
    except UndecodablePixels:
        if not header.lossless:
            raise
        by_other = partial(guarded, decode_lossless_jpeg, decoded_bytes=pixels.frame_length)
        samples = _WHOLE.decode(by_other, "sof3", data, header, scans)
    if source == "RGB" and target == "YCBCR":
        samples = _rgb_to_ybr(samples)
    return fit(samples, pixels, header.precision)


def _run_jpeg(
    header: JpegHeader,
    scans: JpegScans,
    pixels: PixelDescription,
    source: str | None,
    target: str | None,
    data: bytes,
) -> Samples:
    """By libjpeg-turbo; here only what it does in one pass and a few rows of memory."""
    if header.process in _SEQUENTIAL and header.precision == 8 and len(scans.ends) == 1:
        return decode_jpeg(data, source, target)
    return guarded(decode_jpeg, data, source, target, decoded_bytes=pixels.frame_length)


def _jpeg_colours(header: JpegHeader, photometric: str) -> tuple[str | None, str | None]:
    """Colour space of the stream and the one to hand out, so that the result is what the label says.

    A stream that says nothing about itself holds what the label says. Lossless streams have no
    transform: their JFIF marker, which says YCbCr, is only a habit of encoders.
    """
    if header.components != 3:
        return None, None
    target = "YCBCR" if photometric.startswith("YBR") else "RGB"
    claimed = None if header.lossless and header.colour == "YCBCR" else header.colour
    return claimed or target, target


def _rgb_to_ybr(samples: Samples) -> Samples:
    """8-bit RGB as YBR_FULL (PS3.3 C.7.6.3.1.2): for RGB streams under a YBR label.

    libjpeg has no such conversion on the way out.
    """
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], "f4")
    ybr: Samples = samples.astype("f4") @ matrix.T + np.array([0, 128, 128], "f4")
    return np.clip(np.rint(ybr), 0, 255).astype("u1")


def _jpegls(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    header = read_jpeg_header(data)
    guard_header(pixels, header.width, header.height, header.components)
    # CharLS takes seconds to find out that even a small stream is cut.
    if data.rfind(b"\xff\xd9", -_PADDING_BYTES) < 0:
        raise UndecodablePixels("the stream is cut short")
    return fit(guarded(decode_jpegls, data, decoded_bytes=pixels.frame_length), pixels, header.precision)


def _jpegxl(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    guard_header(pixels, *read_jpegxl_size(data), pixels.samples_per_pixel)
    samples = guarded(decode_jpegxl, data, decoded_bytes=pixels.frame_length)
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    return fit(samples, pixels, samples.dtype.itemsize * 8)


def _jpeg2000(data: bytes, uid: str, pixels: PixelDescription, reduce: int) -> Samples:
    stream, facts = _codestream(data)
    guard_header(pixels, facts.width, facts.height, facts.components)
    if not facts.complete and not (reduce and facts.high_throughput and facts.tile_parts):
        raise UndecodablePixels("the codestream is cut short")
    return fit(_decode_stream(stream, facts, reduce), pixels, facts.precision)


def _codestream(data: bytes) -> tuple[bytes, Codestream]:
    """The bare codestream and its facts; a torn header becomes UndecodablePixels."""
    try:
        stream = unbox(data)
        return stream, parse_codestream(stream)
    except CorruptFrame as error:
        raise UndecodablePixels(str(error)) from error


def _decode_stream(stream: bytes, facts: Codestream, reduce: int = 0) -> Samples:
    """By OpenJPH only when it is right (reversible HTJ2K of equal components), else by OpenJPEG."""
    length = guard_structure(stream, facts)
    if not _suits_openjph(stream, facts):
        return guarded(decode_openjpeg, stream, decoded_bytes=length)
    skip = min(reduce, _reductions(stream, facts))
    if is_plain(stream, facts, length):
        return decode_openjph(stream, skip)
    return guarded(decode_openjph, stream, skip, decoded_bytes=length)


def _suits_openjph(stream: bytes, facts: Codestream) -> bool:
    fits = facts.high_throughput and facts.reversible and facts.uniform
    return fits and not has_open_part(stream, facts)


def _reductions(stream: bytes, facts: Codestream) -> int:
    return facts.decompositions if facts.origin == (0, 0) and _suits_openjph(stream, facts) else 0


_DECODERS: dict[str, Callable[[bytes, str, PixelDescription, int], Samples]] = {
    "native": _native,
    "deflated-frame": _deflated,
    "rle": _rle,
    "jpeg": _jpeg,
    "jpegls": _jpegls,
    "jpegxl": _jpegxl,
    "j2k": _jpeg2000,
    "htj2k": _jpeg2000,
}
