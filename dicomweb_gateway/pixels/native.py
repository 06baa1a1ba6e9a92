"""Native (uncompressed) frames: bytes to samples and back (PS3.5 8.1.1, 8.2, annex A; PS3.3 C.7.6.3.1.2)."""

from math import prod

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.optionals import Samples

SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Photometric interpretations whose native frames share one pair of chroma samples between two pixels."""


def decode_native(data: bytes, pixels: PixelDescription, *, big_endian: bool = False) -> Samples:
    """One native frame as `pixels.frame_shape` of `pixels.dtype`.

    1-bit frames start at bit 0 of the first byte and come back as 0 and 1. Subsampled YBR comes back at
    full resolution (chroma repeated). A longer frame is cut (pad byte); a short one raises
    UndecodablePixels. `big_endian` swaps the words of 16 bits and more; 8-bit pixels in big-endian OW have
    to be put into byte order before (`swap_bytes`).
    """
    if pixels.is_packed:
        return _unpack_bits(data, pixels)
    dtype = np.dtype(pixels.dtype)
    stored = dtype.newbyteorder(">") if big_endian else dtype
    if is_subsampled(data, pixels):
        return _upsample(_words(data, stored, pixels.rows * pixels.columns * 2).astype(dtype), pixels)
    words = _words(data, stored, prod(pixels.frame_shape)).astype(dtype)
    if pixels.samples_per_pixel > 1 and pixels.planar_configuration == 1:
        planes = words.reshape(pixels.samples_per_pixel, pixels.rows, pixels.columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return words.reshape(pixels.frame_shape)


def is_subsampled(data: bytes, pixels: PixelDescription) -> bool:
    """Whether `data` holds two samples a pixel although the description says three.

    The length decides too: frames that somebody has upsampled keep their 422 label often enough.
    """
    if pixels.photometric_interpretation not in SUBSAMPLED or pixels.samples_per_pixel != 3:
        return False
    return len(data) < pixels.frame_length


def swap_bytes(data: bytes) -> bytes:
    """`data` with the bytes of every 16-bit word exchanged: 8-bit pixels out of big-endian OW (PS3.5 A.3)."""
    even = len(data) // 2 * 2
    return np.frombuffer(data, "<u2", even // 2).byteswap().tobytes() + data[even:]


def _words(data: bytes, dtype: np.dtype[np.generic], count: int) -> Samples:
    """The first `count` words of `data`. Raises UndecodablePixels when there are fewer."""
    if len(data) < count * dtype.itemsize:
        raise UndecodablePixels(f"a native frame holds {len(data)} of {count * dtype.itemsize} bytes")
    return np.frombuffer(data, dtype, count)


def _unpack_bits(data: bytes, pixels: PixelDescription) -> Samples:
    count = prod(pixels.frame_shape)
    packed = _words(data, np.dtype("u1"), (count + 7) // 8)
    return np.unpackbits(packed, count=count, bitorder="little").reshape(pixels.frame_shape)


def _upsample(words: Samples, pixels: PixelDescription) -> Samples:
    """Y0 Y1 Cb Cr for every two pixels of a row becomes (Y0, Cb, Cr), (Y1, Cb, Cr)."""
    if pixels.columns % 2:
        raise UndecodablePixels("subsampled YBR of an odd width")
    pairs = words.reshape(pixels.rows, pixels.columns // 2, 4)
    full = np.empty(pixels.frame_shape, words.dtype)
    full[:, 0::2, 0] = pairs[..., 0]
    full[:, 1::2, 0] = pairs[..., 1]
    full[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=1)
    return full


def native_bytes(samples: Samples, pixels: PixelDescription) -> bytes:
    """One frame as Explicit VR Little Endian bytes: `pixels.frame_length` of them (dicomweb.md F-5).

    `samples`: what `decode_frame` returns. Pixel-interleaved, BitsAllocated kept, 1-bit frames packed
    with the first pixel in the lowest bit; no pad byte. Raises UndecodablePixels for another size.
    """
    if pixels.is_packed:
        body = np.packbits(samples.astype(bool).reshape(-1), bitorder="little").tobytes()
    else:
        body = np.ascontiguousarray(samples, dtype=np.dtype(pixels.dtype)).tobytes()
    if len(body) != pixels.frame_length:
        raise UndecodablePixels(f"samples fill {len(body)} bytes, the description says {pixels.frame_length}")
    return body
