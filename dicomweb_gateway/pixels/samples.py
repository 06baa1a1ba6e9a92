"""From what a codec returns to what the Image Pixel module promises: shape, sign, width; and P-1's mask."""

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.optionals import Samples

MAX_FRAME_BYTES = 1 << 30
"""Largest decoded frame in bytes; beyond it a frame is refused before anything is allocated."""

_SUSPECT_BYTES = 64 << 20
_BELIEVABLE_RATIO = 100_000


def guard_size(pixels: PixelDescription, coded_length: int) -> None:
    """Raise UndecodablePixels for a frame that this many coded bytes cannot honestly hold.

    A blank image codes to almost nothing, so small frames pass at any ratio.
    """
    if min(pixels.rows, pixels.columns, pixels.samples_per_pixel) < 1:
        raise UndecodablePixels("Rows, Columns or Samples per Pixel is missing or 0")
    if pixels.bits_allocated not in (1, 8, 16, 32, 64):
        raise UndecodablePixels(f"Bits Allocated {pixels.bits_allocated} is not supported")
    if pixels.is_float and pixels.bits_allocated not in (32, 64):
        raise UndecodablePixels("float pixels of neither 32 nor 64 bits")
    guard_length(pixels.frame_length, coded_length)


def guard_length(length: int, coded_length: int) -> None:
    """Raise UndecodablePixels when `coded_length` bytes cannot honestly hold `length` decoded ones."""
    too_dense = length > _SUSPECT_BYTES and length > coded_length * _BELIEVABLE_RATIO
    if length > MAX_FRAME_BYTES or too_dense:
        raise UndecodablePixels(f"a frame of {length} bytes described over {coded_length} coded bytes")


def guard_header(pixels: PixelDescription, width: int, height: int, components: int) -> None:
    """Raise UndecodablePixels when the stream's own header contradicts the description."""
    told = (pixels.columns, pixels.rows, pixels.samples_per_pixel)
    if (width, height, components) != told:
        raise UndecodablePixels(
            f"the stream holds {width}x{height} pixels of {components} samples, "
            f"the description says {told[0]}x{told[1]} of {told[2]}"
        )


def fit(samples: Samples, pixels: PixelDescription, precision: int) -> Samples:
    """Codec output as `pixels.dtype`: signed codes of `precision` bits extended, then widened or narrowed.

    Raises UndecodablePixels when a value does not fit into BitsAllocated.
    """
    wanted = np.dtype(pixels.dtype)
    if pixels.pixel_representation and samples.dtype.kind == "u":
        samples = _sign_extended(samples, precision)
    if samples.dtype == wanted:
        return np.ascontiguousarray(samples)
    if samples.dtype.itemsize > wanted.itemsize:
        _require_fit(samples, wanted)
    return np.ascontiguousarray(samples.astype(wanted))


def _sign_extended(samples: Samples, precision: int) -> Samples:
    """Unsigned codes whose top bit (`precision` - 1) is the sign, as two's complement."""
    spare = samples.dtype.itemsize * 8 - precision
    signed = samples.view(samples.dtype.str.replace("u", "i"))
    return signed if spare <= 0 else (signed << spare) >> spare


def _require_fit(samples: Samples, wanted: np.dtype[np.generic]) -> None:
    """Refuse to narrow values that would be cut."""
    bits = wanted.itemsize * 8
    low, high = (-1 << (bits - 1), (1 << (bits - 1)) - 1) if wanted.kind == "i" else (0, (1 << bits) - 1)
    if samples.min() < low or samples.max() > high:
        raise UndecodablePixels(f"the stream's values do not fit into {bits} bits allocated")


def mask_samples(samples: Samples, pixels: PixelDescription, *, lossy: bool = False) -> Samples:
    """Stored values of stored words (dicomweb.md P-1): only BitsStored below HighBit count, sign-extended.

    Bits outside (embedded overlays, padding) are dropped. With `lossy` the image went through a lossy
    coding, where bits outside are a codec's overshoot: values are clamped then, or white would wrap to
    black. The dtype stays. Float pixels, 1-bit pixels and words without spare bits come back as they are.
    """
    spare = samples.dtype.itemsize * 8 - pixels.bits_stored
    if samples.dtype.kind == "f" or pixels.is_packed or spare <= 0 or pixels.bits_stored < 1:
        return samples
    if lossy:
        return np.clip(samples, *stored_range(pixels))
    shift = max(pixels.high_bit + 1 - pixels.bits_stored, 0)
    masked: Samples
    if samples.dtype.kind == "i":
        masked = (samples << max(spare - shift, 0)) >> spare
    else:
        masked = (samples >> shift) & samples.dtype.type((1 << pixels.bits_stored) - 1)
    return masked


def keeps_range(low: int, high: int, pixels: PixelDescription) -> bool:
    """Whether `mask_samples` leaves all words from `low` to `high` as they are; they are integers."""
    if pixels.is_packed or not 1 <= pixels.bits_stored < pixels.bits_allocated:
        return True
    least, most = stored_range(pixels)
    return pixels.high_bit < pixels.bits_stored and least <= low and high <= most


def stored_range(pixels: PixelDescription) -> tuple[int, int]:
    """Smallest and largest stored value that BitsStored and PixelRepresentation allow."""
    if pixels.pixel_representation:
        return -1 << (pixels.bits_stored - 1), (1 << (pixels.bits_stored - 1)) - 1
    return 0, (1 << pixels.bits_stored) - 1
