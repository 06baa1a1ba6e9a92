"""RLE Lossless frames (PS3.5 annex G), also the 1-bit form that most decoders refuse."""

import struct
from itertools import pairwise
from math import prod

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.native import decode_native
from dicomweb_gateway.pixels.optionals import Samples, unpack_packbits

_HEADER = 64


def decode_rle(data: bytes, pixels: PixelDescription) -> Samples:
    """One RLE frame as `pixels.frame_shape` of `pixels.dtype`. Raises UndecodablePixels.

    Segments are byte planes, most significant first, one sample after the other.
    """
    segments = _segments(data)
    if pixels.is_packed:
        return decode_native(unpack_packbits(segments[0], pixels.frame_length), pixels)
    dtype = np.dtype(pixels.dtype)
    width, samples = dtype.itemsize, pixels.samples_per_pixel
    if len(segments) != width * samples:
        raise UndecodablePixels(f"RLE: {len(segments)} segments where {width * samples} are due")
    count = pixels.rows * pixels.columns
    frame = np.empty((count, samples, width), "u1")
    for number, segment in enumerate(segments):
        sample, plane = divmod(number, width)
        frame[:, sample, width - 1 - plane] = np.frombuffer(unpack_packbits(segment, count), "u1")
    return frame.reshape(prod((count, samples, width))).view(dtype).reshape(pixels.frame_shape)


def _segments(data: bytes) -> list[bytes]:
    """The segments that the header lists. Raises UndecodablePixels when it points outside."""
    if len(data) < _HEADER:
        raise UndecodablePixels("RLE: shorter than its header")
    count, *offsets = struct.unpack_from("<16L", data)
    if not 1 <= count <= 15:
        raise UndecodablePixels(f"RLE: {count} segments")
    bounds = [*offsets[:count], len(data)]
    if bounds[0] < _HEADER or any(a > b for a, b in pairwise(bounds)):
        raise UndecodablePixels("RLE: segment offsets out of order")
    return [data[a:b] for a, b in pairwise(bounds)]
