"""The rendering pipeline: stored samples to an 8-bit grey or RGB image (dicomweb.md P-1 to P-10)."""

from collections.abc import Callable

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.colour import colour_image, palette_image
from dicomweb_gateway.pixels.lut import WHITE, lut_values, stretch_values, window_values
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.resize import crop, fitted_size, region_of, scale
from dicomweb_gateway.pixels.samples import mask_samples

_ROWS_AT_ONCE = 256


# absurd slopes and windows run over to infinity, which is black or white
@np.errstate(over="ignore", invalid="ignore")
def render(
    samples: Samples,
    pixels: PixelDescription,
    photometric: str,
    presentation: Presentation,
    options: RenderOptions,
) -> Samples:
    """An 8-bit image of one decoded frame: (height, width) for grey, (height, width, 3) for colour.

    `samples` are `decode_frame`'s, `photometric` is `decoded_photometric`'s; a reduced decode is fine.
    Without a viewport the result has the size of `samples`. Raises InvalidRequest for a viewport whose
    region leaves the image, UndecodablePixels for colours that cannot be shown.
    """
    region = region_of(options.viewport, pixels)
    reduced = samples.shape[:2] != (pixels.rows, pixels.columns)
    # A reduced wavelet image overshoots the stored range; masking would turn white into black.
    stored = mask_samples(samples, pixels, lossy=presentation.lossy or reduced)
    part = crop(stored, region, pixels)
    indexed = photometric == "PALETTE COLOR"
    if indexed:
        image = palette_image(part, presentation.palette)
    elif stored.ndim == 3:
        image = colour_image(part, pixels, photometric)
    else:
        image = map_values(part, grey_mapping(stored, presentation, options))
    if options.viewport is None:
        return image
    size = fitted_size(region, options.viewport, presentation.aspect)
    return scale(image, size, smooth=not presentation.labels)


def grey_mapping(
    stored: Samples, presentation: Presentation, options: RenderOptions
) -> Callable[[Samples], Samples]:
    """The way of stored values to uint8 grey: modality LUT, VOI, inversion (P-2 to P-5).

    `stored` is the whole frame: without any window its smallest and largest value decide.
    """
    modality = _modality(presentation)
    display = _voi(stored, presentation, options, modality)

    def apply(values: Samples) -> Samples:
        shown = np.nan_to_num(display(modality(values.astype("f8"))))
        levels = WHITE - shown if presentation.inverse else shown
        return np.rint(levels).astype("u1")

    return apply


def map_values(samples: Samples, mapping: Callable[[Samples], Samples]) -> Samples:
    """`mapping` over an image: through a table where that is shorter than the image, else in strips."""
    if samples.dtype.kind in "iu" and samples.size:
        low, high = int(samples.min()), int(samples.max())
        if high - low < samples.size and samples.dtype.itemsize <= 2:
            table = mapping(np.arange(low, high + 1))
            return np.asarray(table.take(samples.astype(np.intp) - low))
    image = np.empty(samples.shape, "u1")
    for top in range(0, len(samples), _ROWS_AT_ONCE):
        image[top : top + _ROWS_AT_ONCE] = mapping(samples[top : top + _ROWS_AT_ONCE])
    return image


def _modality(presentation: Presentation) -> Callable[[Samples], Samples]:
    lut = presentation.modality_lut
    if lut is not None:
        return lambda values: lut.apply(values).astype("f8")
    return lambda values: values * presentation.slope + presentation.intercept


def _voi(
    stored: Samples,
    presentation: Presentation,
    options: RenderOptions,
    modality: Callable[[Samples], Samples],
) -> Callable[[Samples], Samples]:
    """The first VOI of P-3's order: asked for, masks' own range, LUT, window, smallest to largest."""
    if options.window is not None:
        window = options.window
        return lambda values: window_values(values, window)
    if presentation.value_range is not None:
        black, white = presentation.value_range
        return lambda values: stretch_values(values, black, white)
    voi_lut = presentation.voi_lut
    if voi_lut is not None:
        return lambda values: lut_values(values, voi_lut)
    if presentation.windows:
        first = presentation.windows[0]
        return lambda values: window_values(values, first)
    low, high = _extremes(stored, presentation, modality)
    return lambda values: stretch_values(values, low, high)


def _extremes(
    stored: Samples, presentation: Presentation, modality: Callable[[Samples], Samples]
) -> tuple[float, float]:
    """Smallest and largest modality value of the image without its padding (P-3)."""
    image = _without_padding(stored, presentation.padding)
    if not image.size:
        return 0.0, 0.0
    if presentation.modality_lut is not None:
        ends = modality(np.unique(image))
    else:
        ends = modality(np.array([image.min(), image.max()], "f8"))
    return float(ends.min()), float(ends.max())


def _without_padding(stored: Samples, padding: tuple[float, float] | None) -> Samples:
    """The values that are image, in any order; all of them when nothing but padding would be left."""
    image = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    if padding is None:
        return image
    kept = image[(image < padding[0]) | (image > padding[1])]
    return kept if kept.size else image
