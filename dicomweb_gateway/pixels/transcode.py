"""Decoded samples into a transfer syntax that somebody asked for, and what DICOM must say of the result.

A new target is a row in `_ENCODERS` here and one in `targets.TARGETS`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LE,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE,
    TRANSFER_SYNTAXES,
)
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric
from dicomweb_gateway.pixels.encoders import (
    encode_htj2k,
    encode_j2k,
    encode_jpeg_baseline,
    encode_jpeg_lossless,
    encode_jpegls,
)
from dicomweb_gateway.pixels.native import native_bytes
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.rle import encode_rle
from dicomweb_gateway.pixels.samples import stored_range

_WITH_COLOUR_TRANSFORM = (J2K_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL)


def decoded_description(stored_uid: str, pixels: PixelDescription) -> PixelDescription:
    """What `decode_frame` returns of frames of `stored_uid`: colour by pixel, no codec's transform."""
    photometric = decoded_photometric(stored_uid, pixels)
    return replace(pixels, photometric_interpretation=photometric, planar_configuration=0)


def coded_description(uid: str, decoded: PixelDescription) -> PixelDescription:
    """What DICOM must say of `decoded` frames once they are coded in `uid` (W-6; PS3.5 8.2).

    JPEG 2000 and HTJ2K: YBR_RCT for RGB, which goes through the reversible transform (8.2.4). JPEG
    Baseline: YBR_FULL_422 for colour (8.2.1). RLE: planar configuration 1, as its segments are (G.2).
    """
    if decoded.samples_per_pixel == 1:
        return decoded
    photometric = decoded.photometric_interpretation
    if uid == JPEG_BASELINE:
        photometric = "YBR_FULL_422"
    elif uid in _WITH_COLOUR_TRANSFORM and photometric == "RGB":
        photometric = "YBR_RCT"
    return replace(decoded, photometric_interpretation=photometric, planar_configuration=int(uid == RLE))


def encode_frame(samples: Samples, uid: str, decoded: PixelDescription) -> bytes:
    """One frame in transfer syntax `uid`, a bare stream without pad byte; the same input, the same bytes.

    `samples`: what `decode_frame` returned, `decoded` their description (see `decoded_description`).
    Every lossless stream is decoded again and compared: it gives back `samples` bit for bit, bits above
    BitsStored included. Raises UndecodablePixels when it does not, or the syntax cannot hold such samples.
    """
    encode = _ENCODERS.get(uid)
    if encode is None:
        raise UndecodablePixels(f"transfer syntax {uid} cannot be made")
    row = TRANSFER_SYNTAXES[uid]
    try:
        stream = encode(samples, decoded)
        returned = decode_frame(stream, uid, coded_description(uid, decoded)) if row.lossless else samples
    except UndecodablePixels as error:
        raise UndecodablePixels(f"{row.name} cannot be made of this frame: {error}") from error
    # compared as bits: a float NaN differs from itself
    if samples.dtype != returned.dtype or not np.array_equal(_bits(samples), _bits(returned)):
        raise UndecodablePixels(f"{row.name} would not give this frame back bit for bit")
    return stream


def _bits(samples: Samples) -> Samples:
    return np.ascontiguousarray(samples).view("u1")


def _j2k(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_j2k(samples, precision=_precision(samples, decoded), colour_transform=_is_rgb(decoded))


def _htj2k(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_htj2k(samples, colour_transform=_is_rgb(decoded))


def _jpegls(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_jpegls(samples)


def _jpeg_lossless(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_jpeg_lossless(samples, is_rgb=_is_rgb(decoded))


def _jpeg_baseline(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_jpeg_baseline(samples, is_rgb=_is_rgb(decoded))


def _rle(samples: Samples, decoded: PixelDescription) -> bytes:
    return encode_rle(samples)


def _is_rgb(decoded: PixelDescription) -> bool:
    return decoded.photometric_interpretation == "RGB"


def _precision(samples: Samples, decoded: PixelDescription) -> int:
    """Bits of a JPEG 2000 component: BitsStored, which readers compare with it, unless a word needs more.

    Below nine bits stored in sixteen the width stays sixteen, so that decoders hand out whole words.
    """
    stored, allocated = decoded.bits_stored, decoded.bits_allocated
    if not 8 < stored < allocated <= 16 or decoded.high_bit != stored - 1:
        return allocated
    low, high = stored_range(decoded)
    return stored if low <= samples.min() and samples.max() <= high else allocated


_ENCODERS: dict[str, Callable[[Samples, PixelDescription], bytes]] = {
    EXPLICIT_VR_LE: native_bytes,
    J2K_LOSSLESS: _j2k,
    JPEG_LS_LOSSLESS: _jpegls,
    JPEG_LOSSLESS_SV1: _jpeg_lossless,
    RLE: _rle,
    HTJ2K_LOSSLESS_RPCL: _htj2k,
    HTJ2K_LOSSLESS: _htj2k,
    JPEG_BASELINE: _jpeg_baseline,
}
