"""The rendering pipeline: stored samples to an 8-bit grey or RGB image (dicomweb.md P-1 to P-10)."""

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.colour import colour_image, palette_image
from dicomweb_gateway.pixels.grey import grey_image
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.resize import crop, fitted_size, region_of, scale
from dicomweb_gateway.pixels.samples import mask_samples

RENDERING = "2"
"""Counts up whenever the same frame and options give other bytes than before: pictures are kept, and named by
entity tags."""


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
    lossy = presentation.lossy or reduced
    indexed = photometric == "PALETTE COLOR"
    if samples.ndim == 2 and not indexed:
        part = crop(samples, region, pixels)
        image = grey_image(samples, part, pixels, presentation, options, lossy=lossy)
    else:
        part = mask_samples(crop(samples, region, pixels), pixels, lossy=lossy)
        image = rgb_image(part, pixels, photometric, presentation)
    if options.viewport is None:
        return image
    size = fitted_size(region, options.viewport, presentation.aspect)
    return scale(image, size, smooth=not presentation.labels)


def rgb_image(
    stored: Samples, pixels: PixelDescription, photometric: str, presentation: Presentation
) -> Samples:
    """(rows, columns, 3) uint8 RGB of `stored` values that are indices or have three samples (P-6, P-7)."""
    if photometric == "PALETTE COLOR":
        return palette_image(stored, presentation.palette)
    return colour_image(stored, pixels, photometric)
