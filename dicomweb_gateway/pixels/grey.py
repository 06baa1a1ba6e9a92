"""Grey images: stored words to 8-bit grey, all steps in one pass (dicomweb.md P-1 to P-5; PS3.3 C.11).

Words of 8 and 16 bits go through a table of grey levels that holds mask, modality LUT, VOI and inversion at
once; tables are kept, since the images of a series share them. Wider words and floats are mapped in strips.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from math import ceil, floor
from threading import Lock
from typing import NamedTuple

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.lut import WHITE, lut_values, stretch_values, window_values
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.samples import keeps_range, mask_samples

_TABLES = 64
"""Kept tables: at most 64 KB each."""
_AT_ONCE = 1 << 15
"""Pixels mapped at once: numpy widens an index to eight bytes, which then stay in the processor's cache."""

Values = Callable[[Samples], Samples]


class _Table(NamedTuple):
    """`levels[word]` is the grey of a word, read as unsigned; right for words from `low` to `high`."""

    low: int
    high: int
    levels: Samples


class GreyTables:
    """The last `capacity` tables, by everything that they depend on. For any thread."""

    def __init__(self, capacity: int = _TABLES) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, _Table] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Hashable, low: int, high: int) -> Samples | None:
        """The levels, when those of all words from `low` to `high` are known."""
        with self._lock:
            table = self._kept.get(key)
            if table is None or low < table.low or high > table.high:
                return None
            self._kept.move_to_end(key)
            return table.levels

    def make(self, key: Hashable, low: int, high: int, dtype: np.dtype[np.generic], grey: Values) -> Samples:
        """Levels of the words from `low` to `high`, and of those that were known before."""
        with self._lock:
            before = self._kept.get(key)
        if before is not None:
            low, high = min(low, before.low), max(high, before.high)
        words = np.arange(low, high + 1).astype(dtype)
        levels = np.zeros(1 << dtype.itemsize * 8, "u1")
        levels[_unsigned(words)] = grey(words)
        with self._lock:
            self._kept[key] = _Table(low, high, levels)
            self._kept.move_to_end(key)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return levels


_KEPT = GreyTables()


# absurd slopes and windows run over to infinity, which is black or white
@np.errstate(over="ignore", invalid="ignore")
def grey_image(
    samples: Samples,
    part: Samples,
    pixels: PixelDescription,
    presentation: Presentation,
    options: RenderOptions,
    *,
    lossy: bool,
    tables: GreyTables = _KEPT,
) -> Samples:
    """`part` of a grey frame as uint8 of the same shape: the values that a display shows (P-2 to P-5).

    `samples` (rows, columns) are the whole frame, stored words: without any window their smallest and largest
    value decide. `lossy` is that of `mask_samples`.
    """
    mask: Values = partial(mask_samples, pixels=pixels, lossy=lossy)
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 2 or not samples.size:
        voi = _voi(presentation, options) or _stretch(_extremes(mask(samples), presentation))
        return _in_strips(part, partial(_grey, mask, voi, presentation))
    low, high = int(samples.min()), int(samples.max())
    ends: tuple[float, float] | None = None
    voi_known = _voi(presentation, options)
    if voi_known is None:
        stored = samples if keeps_range(low, high, pixels) else mask(samples)
        ends = _extremes(stored, presentation)
    grey = partial(_grey, mask, voi_known or _stretch(ends or (0.0, 0.0)), presentation)
    words = (pixels.bits_stored, pixels.high_bit, pixels.is_packed, lossy, samples.dtype.str)
    key = (presentation, options.window, ends, words)
    levels = tables.find(key, low, high)
    if levels is None:
        if high - low >= part.size:
            return _in_strips(part, grey)
        levels = tables.make(key, low, high, samples.dtype, grey)
    return _looked_up(levels, part)


def _grey(mask: Values, voi: Values, presentation: Presentation, words: Samples) -> Samples:
    """Grey levels of stored words: mask, modality LUT, VOI, inversion."""
    shown = np.nan_to_num(voi(_modality(mask(words).astype("f8"), presentation)))
    return np.rint(WHITE - shown if presentation.inverse else shown).astype("u1")


def _looked_up(levels: Samples, words: Samples) -> Samples:
    index = _unsigned(words)
    image = np.empty(words.shape, "u1")
    step = _rows_at_once(words)
    for top in range(0, len(words), step):
        # "clip": else numpy writes into a copy of `out`; every word has its place in the table
        levels.take(index[top : top + step], out=image[top : top + step], mode="clip")
    return image


def _in_strips(words: Samples, grey: Values) -> Samples:
    image = np.empty(words.shape, "u1")
    step = _rows_at_once(words)
    for top in range(0, len(words), step):
        image[top : top + step] = grey(words[top : top + step])
    return image


def _rows_at_once(image: Samples) -> int:
    return max(1, _AT_ONCE // max(1, int(image.shape[1])))


def _unsigned(words: Samples) -> Samples:
    return words.view(f"u{words.dtype.itemsize}")


def _modality(values: Samples, presentation: Presentation) -> Samples:
    """Stored values (float64) to modality values (float64)."""
    if presentation.modality_lut is not None:
        return presentation.modality_lut.apply(values).astype("f8")
    return values * presentation.slope + presentation.intercept


def _voi(presentation: Presentation, options: RenderOptions) -> Values | None:
    """The first VOI of P-3's order: asked for, masks' own range, LUT, window; None without any."""
    if options.window is not None:
        return partial(window_values, window=options.window)
    if presentation.value_range is not None:
        return _stretch(presentation.value_range)
    if presentation.voi_lut is not None:
        return partial(lut_values, lut=presentation.voi_lut)
    if presentation.windows:
        return partial(window_values, window=presentation.windows[0])
    return None


def _stretch(ends: tuple[float, float]) -> Values:
    black, white = ends
    return partial(stretch_values, low=black, high=white)


def _extremes(stored: Samples, presentation: Presentation) -> tuple[float, float]:
    """Smallest and largest modality value of the image without its padding (P-3)."""
    if presentation.modality_lut is None and stored.dtype.kind in "iu" and stored.size:
        ends = np.array(_whole_extremes(stored, presentation.padding), "f8")
    else:
        image = _without_padding(stored, presentation.padding)
        if not image.size:
            return 0.0, 0.0
        ends = np.unique(image) if presentation.modality_lut else np.array([image.min(), image.max()])
    values = _modality(ends.astype("f8"), presentation)
    return float(values.min()), float(values.max())


def _whole_extremes(stored: Samples, padding: tuple[float, float] | None) -> tuple[int, int]:
    """Smallest and largest integer outside of `padding`; of all when nothing but padding would be left."""
    low, high = int(stored.min()), int(stored.max())
    if padding is None:
        return low, high
    first, last = ceil(padding[0]), floor(padding[1])
    if first > last or first > high or last < low or (first <= low and high <= last):
        return low, high
    # distances modulo the word: what lies on the other side wraps to more than any distance on this one
    smallest = low if low < first else last + 1 + _least(_unsigned(stored) - _word(last + 1, stored))
    largest = high if high > last else first - 1 - _least(_word(first - 1, stored) - _unsigned(stored))
    return smallest, largest


def _least(distances: Samples) -> int:
    return int(distances.min())


def _word(value: int, stored: Samples) -> Samples:
    """`value` as an unsigned word of the width of `stored`."""
    bits = stored.dtype.itemsize * 8
    return np.asarray(value & ((1 << bits) - 1), f"u{stored.dtype.itemsize}")


def _without_padding(stored: Samples, padding: tuple[float, float] | None) -> Samples:
    """The values that are image, in any order; all of them when nothing but padding would be left."""
    image = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    if padding is None:
        return image
    kept = image[(image < padding[0]) | (image > padding[1])]
    return kept if kept.size else image
