"""Source region, resolution and scaling of a rendered image (dicomweb.md R-8, R-12)."""

from dataclasses import dataclass
from math import floor, log2

import numpy as np
from PIL import Image

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import Viewport

MOST_PIXELS = 1 << 24
"""Pixels of an image that is larger than its source; no display has more, and each costs memory."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the full-size frame in pixels, [left, right) and [top, bottom), perhaps mirrored."""

    left: float
    top: float
    right: float
    bottom: float
    mirror_x: bool = False
    mirror_y: bool = False


def region_of(viewport: Viewport | None, pixels: PixelDescription) -> Region:
    """The source region that `viewport` names. Raises InvalidRequest when it leaves the image (R-8)."""
    if viewport is None:
        return Region(0, 0, pixels.columns, pixels.rows)
    wide = pixels.columns - viewport.x if viewport.source_width is None else viewport.source_width
    high = pixels.rows - viewport.y if viewport.source_height is None else viewport.source_height
    right, bottom = viewport.x + abs(wide), viewport.y + abs(high)
    inside = 0 <= viewport.x < right <= pixels.columns and 0 <= viewport.y < bottom <= pixels.rows
    if not inside:
        raise InvalidRequest(
            f"viewport: the source region lies outside the image of {pixels.columns}x{pixels.rows} pixels"
        )
    return Region(viewport.x, viewport.y, right, bottom, wide < 0, high < 0)


def crop(samples: Samples, region: Region, pixels: PixelDescription) -> Samples:
    """`region` out of `samples`, which may be a reduced decode of the frame; at least one pixel."""
    down, across = samples.shape[0] / pixels.rows, samples.shape[1] / pixels.columns
    top, left = (
        _clamped(region.top * down, samples.shape[0]),
        _clamped(region.left * across, samples.shape[1]),
    )
    bottom = max(top + 1, min(round(region.bottom * down), samples.shape[0]))
    right = max(left + 1, min(round(region.right * across), samples.shape[1]))
    part = samples[top:bottom, left:right]
    return part[:: -1 if region.mirror_y else 1, :: -1 if region.mirror_x else 1]


def _clamped(edge: float, size: int) -> int:
    return min(round(edge), size - 1)


def fitted_size(region: Region, viewport: Viewport, aspect: float) -> tuple[int, int]:
    """(width, height) of `region` scaled to just fit the viewport; `aspect` is pixel height over width.

    Raises PayloadTooLarge for an enlargement to more than MOST_PIXELS.
    """
    # a region below one pixel shows that pixel
    wide, tall = max(1.0, region.right - region.left), max(1.0, region.bottom - region.top)
    high = tall * aspect
    scale = min(viewport.width / wide, viewport.height / high)
    width = min(viewport.width, max(1, round(wide * scale)))
    height = min(viewport.height, max(1, round(high * scale)))
    if width * height > max(MOST_PIXELS, wide * tall):
        raise PayloadTooLarge(f"viewport: an image is enlarged to at most {MOST_PIXELS} pixels")
    return width, height


def may_be_reduced(pixels: PixelDescription, *, index_values: bool) -> bool:
    """Whether pixels are intensities, which a reduced decode averages.

    Palette indices, 1-bit masks, floats and what the caller knows to be none (`Presentation.index_values`)
    are not.
    """
    palette = pixels.photometric_interpretation == "PALETTE COLOR"
    return not (index_values or pixels.is_packed or pixels.is_float or palette)


def reduction_for(
    viewport: Viewport | None, pixels: PixelDescription, *, aspect: float = 1.0, index_values: bool = False
) -> int:
    """How many resolutions a decode may skip (R-12): 0 without a viewport or when the image is enlarged.

    The reduced region is never smaller, in either direction, than what the viewport shows of it. What may not
    be reduced: 0. Raises what `region_of` and `fitted_size` raise.
    """
    if viewport is None:
        return 0
    region = region_of(viewport, pixels)
    width, height = fitted_size(region, viewport, aspect)
    if not may_be_reduced(pixels, index_values=index_values):
        return 0
    shrink = min((region.right - region.left) / width, (region.bottom - region.top) / height)
    return floor(log2(shrink)) if shrink > 1 else 0


def scale(image: Samples, size: tuple[int, int], *, smooth: bool = True) -> Samples:
    """uint8 grey or RGB `image` at `size` (width, height); without `smooth` the nearest pixel counts."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, method))
