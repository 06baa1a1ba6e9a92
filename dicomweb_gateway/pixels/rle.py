"""RLE Lossless frames (PS3.5 annex G); reading also takes the 1-bit form that most decoders refuse."""

import struct
from itertools import accumulate, pairwise
from math import prod

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.native import decode_native
from dicomweb_gateway.pixels.optionals import Samples, pack_packbits, unpack_packbits

_HEADER = 64
_MOST_SEGMENTS = 15


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


def encode_rle(samples: Samples) -> bytes:
    """One frame as RLE Lossless: `samples` (rows, columns) or (rows, columns, samples), whole bytes a sample.

    A segment per byte plane, most significant first, one sample after the other (PS3.5 G.2); every row
    packed on its own, segments of even length (G.3.1), the header as in G.5. Raises UndecodablePixels for
    more planes than the header has room for.
    """
    planes = _byte_planes(samples)
    if len(planes) > _MOST_SEGMENTS:
        raise UndecodablePixels(f"RLE: {len(planes)} byte planes do not fit into one frame")
    segments = [pack_packbits(plane.copy()) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = accumulate(map(len, segments[:-1]), initial=_HEADER)
    header = struct.pack("<16L", *[len(segments), *offsets, *[0] * (_MOST_SEGMENTS - len(segments))])
    return b"".join((header, *segments))


def _byte_planes(samples: Samples) -> list[Samples]:
    """Views of (rows, columns) bytes, in the order in which segments stand."""
    little = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
    rows, columns = samples.shape[:2]
    split = little.view("u1").reshape(rows, columns, -1, samples.dtype.itemsize)
    return [
        split[:, :, sample, plane]
        for sample in range(split.shape[2])
        for plane in reversed(range(split.shape[3]))
    ]


def _segments(data: bytes) -> list[bytes]:
    """The segments that the header lists. Raises UndecodablePixels when it points outside."""
    if len(data) < _HEADER:
        raise UndecodablePixels("RLE: shorter than its header")
    count, *offsets = struct.unpack_from("<16L", data)
    if not 1 <= count <= _MOST_SEGMENTS:
        raise UndecodablePixels(f"RLE: {count} segments")
    bounds = [*offsets[:count], len(data)]
    if bounds[0] < _HEADER or any(a > b for a, b in pairwise(bounds)):
        raise UndecodablePixels("RLE: segment offsets out of order")
    return [data[a:b] for a, b in pairwise(bounds)]
