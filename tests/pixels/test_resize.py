"""Regions and sizes of R-8, and how far a decode may be reduced for them (R-12)."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.pixels.options import Viewport
from dicomweb_gateway.pixels.resize import Region, crop, fitted_size, reduction_for, region_of, scale

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


def test_a_region_below_one_pixel_shows_that_pixel():
    assert fitted_size(Region(1, 1, 1 + 1e-9, 1 + 1e-320), Viewport(7, 9), 1) == (7, 7)
    assert reduction_for(Viewport(7, 9, 0, 0, 1e-9, 5e-324), PIXELS) == 0


def test_an_enlargement_has_its_limit():
    with pytest.raises(PayloadTooLarge, match="16777216 pixels"):
        fitted_size(Region(0, 0, 200, 100), Viewport(16384, 16384), 1)
    assert fitted_size(Region(0, 0, 9000, 9000), Viewport(8000, 8000), 1) == (8000, 8000)


WIDE = PixelDescription(512, 1024)


@pytest.mark.parametrize(
    ("viewport", "reduction"),
    [
        (None, 0),
        (Viewport(1024, 1024), 0),
        (Viewport(2000, 2000), 0),
        (Viewport(1023, 1023), 0),
        (Viewport(512, 512), 1),
        (Viewport(511, 511), 1),
        (Viewport(128, 128), 3),
        (Viewport(1, 1), 9),
        (Viewport(1024, 128), 2),
        (Viewport(128, 128, 0, 0, 128, 128), 0),
        (Viewport(128, 128, 768, 256), 1),
        (Viewport(64, 64, 0, 0, -256, 256), 2),
    ],
)
def test_reduction(viewport, reduction):
    assert reduction_for(viewport, WIDE) == reduction


@pytest.mark.parametrize(
    "pixels",
    [
        PixelDescription(512, 512, bits_allocated=1),
        PixelDescription(512, 512, photometric_interpretation="PALETTE COLOR"),
        PixelDescription(512, 512, bits_allocated=32, keyword="FloatPixelData"),
    ],
)
def test_what_cannot_be_averaged_is_decoded_whole(pixels):
    assert reduction_for(Viewport(64, 64), pixels) == 0


def test_labels_are_decoded_whole():
    assert reduction_for(Viewport(64, 64), WIDE, index_values=True) == 0


@pytest.mark.parametrize("aspect", [0.2, 0.5, 2, 3, 19])
@pytest.mark.parametrize(
    "viewport", [Viewport(64, 64), Viewport(100, 10), Viewport(30, 200, 17, 5, 400, 300)]
)
def test_what_is_shown_of_a_reduced_image_is_never_enlarged(aspect, viewport):
    region = region_of(viewport, WIDE)
    reduction = reduction_for(viewport, WIDE, aspect=aspect)
    size = fitted_size(region, viewport, aspect)
    assert (region.right - region.left) / 2**reduction >= size[0]
    assert (region.bottom - region.top) / 2**reduction >= size[1]


def test_a_region_outside_is_refused_before_anything_is_decoded():
    with pytest.raises(InvalidRequest, match="viewport"):
        reduction_for(Viewport(10, 10, 0, 0, 2000, 2000), WIDE, index_values=True)
