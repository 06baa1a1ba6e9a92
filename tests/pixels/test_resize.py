"""Regions and sizes of R-8."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.pixels.options import Viewport
from dicomweb_gateway.pixels.resize import Region, crop, fitted_size, region_of, scale

PIXELS = PixelDescription(100, 200)
IMAGE = np.arange(100 * 200, dtype="u2").reshape(100, 200)


@pytest.mark.parametrize(
    ("viewport", "region"),
    [
        (None, Region(0, 0, 200, 100)),
        (Viewport(10, 10), Region(0, 0, 200, 100)),
        (Viewport(10, 10, 50, 20), Region(50, 20, 200, 100)),
        (Viewport(10, 10, 50, 20, 30, 40), Region(50, 20, 80, 60)),
        (Viewport(10, 10, 0, 0, -200, 100), Region(0, 0, 200, 100, mirror_x=True)),
        (Viewport(10, 10, 0, 0, 200, -100), Region(0, 0, 200, 100, mirror_y=True)),
    ],
)
def test_regions(viewport, region):
    assert region_of(viewport, PIXELS) == region


@pytest.mark.parametrize(
    "viewport",
    [
        Viewport(10, 10, 0, 0, 201, 100),
        Viewport(10, 10, 0, 0, 200, 101),
        Viewport(10, 10, -1, 0),
        Viewport(10, 10, 200, 0),
        Viewport(10, 10, 0, 100),
        Viewport(10, 10, 150, 0, 51, 10),
        Viewport(10, 10, 0, 0, 0, 10),
    ],
)
def test_regions_outside(viewport):
    with pytest.raises(InvalidRequest, match="viewport"):
        region_of(viewport, PIXELS)


def test_crops():
    assert np.array_equal(crop(IMAGE, Region(50, 20, 80, 60), PIXELS), IMAGE[20:60, 50:80])
    assert np.array_equal(crop(IMAGE, Region(0, 0, 200, 100, True, True), PIXELS), IMAGE[::-1, ::-1])


def test_a_reduced_image_is_cropped_in_proportion():
    reduced = IMAGE[::2, ::2]
    assert np.array_equal(crop(reduced, Region(50, 20, 80, 60), PIXELS), reduced[10:30, 25:40])


@pytest.mark.parametrize("region", [Region(199.4, 99.4, 199.6, 99.6), Region(10.1, 10.1, 10.2, 10.2)])
def test_a_crop_is_never_empty(region):
    assert crop(IMAGE, region, PIXELS).shape == (1, 1)


@pytest.mark.parametrize(
    ("region", "viewport", "aspect", "size"),
    [
        (Region(0, 0, 200, 100), Viewport(128, 128), 1, (128, 64)),
        (Region(0, 0, 200, 100), Viewport(1000, 100), 1, (200, 100)),
        (Region(0, 0, 200, 100), Viewport(1000, 1000), 1, (1000, 500)),
        (Region(0, 0, 200, 100), Viewport(128, 128), 2, (128, 128)),
        (Region(0, 0, 200, 100), Viewport(128, 128), 4, (64, 128)),
        (Region(0, 0, 200, 1), Viewport(10, 10), 1, (10, 1)),
    ],
)
def test_fitted_size(region, viewport, aspect, size):
    assert fitted_size(region, viewport, aspect) == size
    assert size[0] <= viewport.width
    assert size[1] <= viewport.height


def test_labels_are_not_mixed_when_scaled():
    labels = np.kron([[0, 7], [200, 255]], np.ones((5, 5))).astype("u1")
    assert set(np.unique(scale(labels, (7, 7), smooth=False))) == {0, 7, 200, 255}
    assert len(np.unique(scale(labels, (7, 7)))) > 4


def test_the_same_size_is_the_same_image():
    image = IMAGE.astype("u1")
    assert scale(image, (200, 100)) is image
