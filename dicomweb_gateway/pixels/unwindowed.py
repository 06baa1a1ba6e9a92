"""Pixels that a client shows by itself: grey values before any window, colour as RGB (P-1, P-2, P-6, P-7)."""

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.lut import Lut, lut_values
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import LINEAR_EXACT, Window
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.render import rgb_image
from dicomweb_gateway.pixels.samples import mask_samples

_CURVE = 1024
"""Steps of a curve."""
_LONGEST = 4
"""Bytes of an integer that every client's arrays hold; longer ones become float64."""


def unwindowed(
    samples: Samples, pixels: PixelDescription, photometric: str, presentation: Presentation
) -> Samples:
    """(rows, columns) stored values, or (rows, columns, 3) uint8 RGB, of one decoded frame; little endian.

    `samples` and `photometric` are those of `render`, a reduced decode too. Stored values have gone through
    the modality LUT where there is one (P-2), else `values * slope + intercept` are the modality values.
    Raises UndecodablePixels for colours that cannot be shown.
    """
    reduced = samples.shape[:2] != (pixels.rows, pixels.columns)
    stored = mask_samples(samples, pixels, lossy=presentation.lossy or reduced)
    if samples.ndim != 2 or photometric == "PALETTE COLOR":
        return np.ascontiguousarray(rgb_image(stored, pixels, photometric, presentation))
    if presentation.modality_lut is not None:
        stored = presentation.modality_lut.apply(stored)
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    return np.ascontiguousarray(stored, f"<{kind}{size}" if kind == "f" or size <= _LONGEST else "<f8")


def scaling_of(presentation: Presentation) -> tuple[float, float]:
    """(slope, intercept) from `unwindowed` values to modality values."""
    return (
        (1.0, 0.0) if presentation.modality_lut is not None else (presentation.slope, presentation.intercept)
    )


def windows_of(presentation: Presentation) -> tuple[Window, ...]:
    """Windows that a client offers, the first to begin with; none where smallest and largest value decide.

    A VOI LUT stands for the window over its inputs (`curve_of`).
    """
    made = presentation.windows
    if presentation.value_range is not None:
        low, high = presentation.value_range
        made = (Window((low + high) / 2, high - low, LINEAR_EXACT), *made)
    elif presentation.voi_lut is not None:
        made = (_span_of(presentation.voi_lut), *made)
    return made


def curve_of(presentation: Presentation) -> bytes | None:
    """Grey levels of a VOI LUT at even steps over its inputs, where it decides (P-3); None else."""
    lut = presentation.voi_lut
    if lut is None or presentation.value_range is not None:
        return None
    inputs = np.linspace(lut.first, lut.first + max(1, len(lut.values) - 1), _CURVE)
    return np.rint(lut_values(np.rint(inputs), lut)).astype("u1").tobytes()


def _span_of(lut: Lut) -> Window:
    wide = max(1, len(lut.values) - 1)
    return Window(lut.first + wide / 2, wide, LINEAR_EXACT)
