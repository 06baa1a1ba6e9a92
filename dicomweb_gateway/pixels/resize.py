"""Source region and scaling of a rendered image (dicomweb.md R-8)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.options import Viewport


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
    """(width, height) of `region` scaled to just fit the viewport; `aspect` is pixel height over width."""
    wide = region.right - region.left
    high = (region.bottom - region.top) * aspect
    scale = min(viewport.width / wide, viewport.height / high)
    width = min(viewport.width, max(1, round(wide * scale)))
    return width, min(viewport.height, max(1, round(high * scale)))


def scale(image: Samples, size: tuple[int, int], *, smooth: bool = True) -> Samples:
    """uint8 grey or RGB `image` at `size` (width, height); without `smooth` the nearest pixel counts."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, method))
