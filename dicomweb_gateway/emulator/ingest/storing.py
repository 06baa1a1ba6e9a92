"""Stores the frames of one file as HealthImaging would: kept as they are, packed, or as HTJ2K (2.4, 2.7)."""

import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LE,
    HTJ2K,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
    JPEG_BASELINE,
    transfer_syntax,
)
from dicomweb_gateway.emulator.blobs import BlobWriter
from dicomweb_gateway.emulator.ingest.delimiting import (
    describe_pixels,
    encapsulated_frames,
    in_byte_order,
    is_undefined_length,
    native_frames,
    whole_object,
)
from dicomweb_gateway.emulator.ingest.reading import ParsedFile
from dicomweb_gateway.errors import UndecodablePixels, UnreadableDicom
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric, native_bytes
from dicomweb_gateway.pixels.encoders import encode_htj2k, encode_j2k
from dicomweb_gateway.pixels.optionals import Samples

JPEG_XL = "1.2.840.10008.1.2.4.112"
KEPT = frozenset({JPEG_BASELINE, J2K, HTJ2K, JPEG_XL})
"""Kept as they are, with all video syntaxes (2.7)."""

_ENCODERS = {HTJ2K_LOSSLESS_RPCL: encode_htj2k, J2K_LOSSLESS: encode_j2k}


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame as it lies in the blob; `checksum` is an unsigned CRC-32 of samples or bytes (3.6)."""

    offset: int
    length: int
    width: int
    height: int
    checksum: int
    size_in_bytes: int
    min_value: int | None
    max_value: int | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """All frames of one instance and what the metadata must say since they were stored this way."""

    transfer_syntax_uid: str
    frames: tuple[StoredFrame, ...]
    changes: dict[str, Any]
    warning: str | None = None


class _NotExact(Exception):
    """The lossless codec does not give these samples back bit for bit."""


def store_pixels(
    parsed: ParsedFile, element: RawDataElement, writer: BlobWriter, lossless_uid: str
) -> StoredPixels:
    """Write the frames of `parsed`; `lossless_uid` is the data store's own lossless syntax (.202 or .90).

    Raises UnreadableDicom when the frames cannot be told apart or are not all there. Frames that cannot be
    decoded are kept in their original syntax, with a warning.
    """
    pixels = describe_pixels(parsed.dataset, element)
    uid = parsed.transfer_syntax_uid
    syntax = transfer_syntax(uid)
    if syntax is not None and syntax.family == "video":
        return _kept(uid, pixels, [whole_object(element.value or b"")], writer)
    if syntax.encapsulated if syntax else is_undefined_length(element):
        frames = encapsulated_frames(parsed.dataset, element.value or b"", pixels)
        if uid in KEPT:
            return _kept(uid, pixels, frames, writer)
        try:
            return _recoded(uid, pixels, lambda: frames, writer, lossless_uid)
        except UndecodablePixels as error:
            writer.restart()
            kept = _kept(uid, pixels, frames, writer)
            return replace(kept, warning=f"kept in its original transfer syntax: {error}")
    if is_undefined_length(element):
        raise UnreadableDicom("compressed pixel data in an uncompressed transfer syntax")
    data, order = in_byte_order(element, pixels, uid)
    try:
        return _recoded(order, pixels, lambda: native_frames(data, pixels), writer, lossless_uid)
    except UndecodablePixels as error:
        raise UnreadableDicom(f"the pixels make no image: {error}") from error


def _kept(uid: str, pixels: PixelDescription, frames: Iterable[bytes], writer: BlobWriter) -> StoredPixels:
    stored = tuple(_append(writer, frame, pixels, frame, len(frame), None) for frame in frames)
    return StoredPixels(uid, stored, {})


def _recoded(
    uid: str,
    pixels: PixelDescription,
    frames: Callable[[], Iterable[bytes]],
    writer: BlobWriter,
    lossless_uid: str,
) -> StoredPixels:
    """Decode every frame and store it losslessly coded; bits, floats and what no codec keeps as native.

    All frames of an instance have one stored syntax.
    """
    decoded = replace(
        pixels, photometric_interpretation=decoded_photometric(uid, pixels), planar_configuration=0
    )
    changes = _changes(pixels, decoded)
    if not (pixels.is_packed or pixels.is_float):
        try:
            stored = [
                _append_coded(writer, decode_frame(frame, uid, pixels), decoded, lossless_uid)
                for frame in frames()
            ]
            return StoredPixels(lossless_uid, tuple(stored), changes)
        except _NotExact:
            writer.restart()
    stored = [_append_native(writer, decode_frame(frame, uid, pixels), decoded) for frame in frames()]
    return StoredPixels(EXPLICIT_VR_LE, tuple(stored), changes)


def _append_coded(
    writer: BlobWriter, samples: Samples, pixels: PixelDescription, lossless_uid: str
) -> StoredFrame:
    """Encode, decode back, compare, and only then store."""
    try:
        coded = _ENCODERS[lossless_uid](samples)
        exact = np.array_equal(decode_frame(coded, lossless_uid, pixels), samples)
    except UndecodablePixels as error:
        raise _NotExact from error
    if not exact:
        raise _NotExact
    native = native_bytes(samples, pixels)
    return _append(writer, coded, pixels, native, len(native), samples)


def _append_native(writer: BlobWriter, samples: Samples, pixels: PixelDescription) -> StoredFrame:
    native = native_bytes(samples, pixels)
    counted = None if pixels.is_packed or pixels.is_float else samples
    return _append(writer, native, pixels, native, len(native), counted)


def _append(
    writer: BlobWriter,
    data: bytes,
    pixels: PixelDescription,
    checked: bytes,
    size_in_bytes: int,
    samples: Samples | None,
) -> StoredFrame:
    """`checked` are the bytes that the checksum covers, `samples` what minimum and maximum count."""
    return StoredFrame(
        offset=writer.append(data),
        length=len(data),
        width=pixels.columns,
        height=pixels.rows,
        checksum=zlib.crc32(checked),
        size_in_bytes=size_in_bytes,
        min_value=None if samples is None else int(samples.min()),
        max_value=None if samples is None else int(samples.max()),
        digest=hashlib.sha256(checked).digest(),
    )


def _changes(pixels: PixelDescription, decoded: PixelDescription) -> dict[str, Any]:
    """What the Image Pixel module must say of the stored frames where it differs from the file."""
    changes: dict[str, Any] = {}
    if decoded.photometric_interpretation != pixels.photometric_interpretation:
        changes["PhotometricInterpretation"] = decoded.photometric_interpretation
    if pixels.samples_per_pixel > 1:
        changes["PlanarConfiguration"] = 0
    return changes
