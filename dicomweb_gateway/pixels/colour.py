"""Colour samples to 8-bit RGB, once (dicomweb.md P-6, P-7; PS3.3 C.7.6.3.1.2)."""

import numpy as np
from PIL import Image

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.optionals import Samples

_PARTIAL_TO_RGB = np.array([[1.1644, 0.0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0.0]], "f4")
_PARTIAL_ZERO = np.array([16, 128, 128], "f4")


def colour_image(samples: Samples, pixels: PixelDescription, photometric: str) -> Samples:
    """(rows, columns, 3) uint8 RGB of three-sample `samples`, whose interpretation is `photometric`.

    8-bit RGB comes back as it is (P-11); other depths are scaled by BitsStored. Raises UndecodablePixels
    for an interpretation that is no colour we know.
    """
    if samples.ndim != 3 or samples.shape[2] != 3:
        raise UndecodablePixels(f"{photometric} with samples of shape {samples.shape}")
    narrow = _eight_bits(samples, pixels)
    if photometric == "RGB":
        return narrow
    if photometric == "YBR_FULL":
        return np.asarray(Image.fromarray(np.ascontiguousarray(narrow), "YCbCr").convert("RGB"))
    if photometric.startswith("YBR_PARTIAL"):
        rgb: Samples = (narrow.astype("f4") - _PARTIAL_ZERO) @ _PARTIAL_TO_RGB.T
        return np.clip(np.rint(rgb), 0, 255).astype("u1")
    raise UndecodablePixels(f"photometric interpretation {photometric!r} is not supported for colour images")


def _eight_bits(samples: Samples, pixels: PixelDescription) -> Samples:
    """Samples scaled to 0..255 by BitsStored; negative ones, which no colour has, become 0."""
    depth = pixels.bits_stored if 1 <= pixels.bits_stored <= pixels.bits_allocated else pixels.bits_allocated
    if depth == 8 and samples.dtype == np.uint8:
        return samples
    top = (1 << depth) - 1
    if samples.dtype.itemsize > 2:
        return np.clip(np.rint(samples * (255.0 / top)), 0, 255).astype("u1")
    table = np.rint(np.clip(np.arange(1 << 16) * (255.0 / top), 0, 255)).astype("u1")
    return np.asarray(table[np.maximum(samples, 0)])


def palette_image(samples: Samples, palette: tuple[Lut, Lut, Lut] | None) -> Samples:
    """(rows, columns, 3) uint8 RGB of palette indices. Raises UndecodablePixels without a palette."""
    if palette is None:
        raise UndecodablePixels("PALETTE COLOR without usable palette lookup tables")
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 2:
        return np.stack([table.apply(samples) for table in palette], axis=-1)
    unsigned = np.dtype(f"u{samples.dtype.itemsize}")
    words = np.arange(1 << unsigned.itemsize * 8).astype(unsigned).view(samples.dtype)
    colours = np.stack([table.apply(words) for table in palette], axis=-1)
    return np.asarray(colours[samples.view(unsigned)])
