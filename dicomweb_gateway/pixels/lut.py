"""Lookup tables and VOI functions: modality values, display values (PS3.3 C.11.1, C.11.2; P-2 to P-4).

Everything works on float64 arrays of values; `render` applies it to tables, not to whole images.
"""

from dataclasses import dataclass

import numpy as np

from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import LINEAR_EXACT, SIGMOID, Window

WHITE = 255.0
"""Display values run from 0 to this, as floats."""


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A lookup table: `values[n]` is the output for input `first` + n; input beyond the ends takes the end.

    `bits` is the depth that the descriptor names, 8 to 16.
    """

    first: int
    values: Samples
    bits: int

    def apply(self, inputs: Samples) -> Samples:
        """Outputs for `inputs` of any numeric dtype, in their shape; NaN counts as the first input."""
        if inputs.dtype.kind == "f":
            offsets = np.nan_to_num(inputs, nan=self.first) - self.first
        else:
            offsets = inputs.astype("i4" if inputs.dtype.itemsize < 4 else "i8") - self.first
        chosen: Samples = self.values[np.clip(offsets, 0, len(self.values) - 1).astype(np.intp)]
        return chosen

    @property
    def white(self) -> float:
        """The output that means white: the depth's largest, or the table's own where that is larger."""
        return float(max((1 << self.bits) - 1, int(self.values.max(initial=1))))


def window_values(values: Samples, window: Window) -> Samples:
    """Modality values to display values 0..255 as floats, by the window's function (P-4).

    `window.width` must be at least 1 for LINEAR and more than 0 otherwise.
    """
    center, width = window.center, window.width
    if window.function == SIGMOID:
        exponent = np.clip(-4 * (values - center) / width, -700, 700)
        return np.asarray(WHITE / (1 + np.exp(exponent)))
    if window.function == LINEAR_EXACT:
        return np.clip(((values - center) / width + 0.5) * WHITE, 0, WHITE)
    low = center - 0.5 - (width - 1) / 2
    high = center - 0.5 + (width - 1) / 2
    if width == 1:
        return np.where(values > low, WHITE, 0.0)
    inside = ((values - (center - 0.5)) / (width - 1) + 0.5) * WHITE
    return np.where(values <= low, 0.0, np.where(values > high, WHITE, inside))


def stretch_values(values: Samples, low: float, high: float) -> Samples:
    """`low`..`high` linearly onto 0..255 as floats; an empty range gives 0 for everything up to `low`."""
    if not high > low:
        return np.where(values > low, WHITE, 0.0)
    return np.clip((values - low) / (high - low) * WHITE, 0, WHITE)


def lut_values(values: Samples, lut: Lut) -> Samples:
    """Modality values through a VOI LUT to display values 0..255 as floats."""
    return lut.apply(values).astype("f8") * (WHITE / lut.white)
