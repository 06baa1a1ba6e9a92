"""Tables of grey levels: the same as the formulas word by word, whatever was asked before (P-1 to P-5)."""

from dataclasses import replace

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.grey import GreyTables, grey_image
from dicomweb_gateway.pixels.lut import stretch_values, window_values
from dicomweb_gateway.pixels.options import RenderOptions, Window
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.samples import keeps_range, mask_samples


def described(samples, stored=None, signed=None):
    bits = samples.dtype.itemsize * 8
    return PixelDescription(
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=1,
        bits_allocated=bits,
        bits_stored=stored or bits,
        high_bit=(stored or bits) - 1,
        pixel_representation=int(samples.dtype.kind == "i"),
        photometric_interpretation="MONOCHROME2",
        planar_configuration=0,
        number_of_frames=1,
        keyword="PixelData",
    )


def shown(samples, presentation, options=None, stored=None, tables=None):
    return grey_image(
        samples,
        samples,
        described(samples, stored),
        presentation,
        options or RenderOptions(),
        lossy=False,
        tables=tables or GreyTables(),
    )


def noise(dtype, low, high, shape=(90, 70), seed=1):
    return np.random.default_rng(seed).integers(low, high, shape, dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("u1", 0, 256), ("i1", -128, 128), ("<u2", 0, 4096), ("<i2", -2000, 3000)]
)
def test_levels_are_those_of_the_formula(dtype, low, high):
    samples = noise(dtype, low, high)
    presentation = Presentation(slope=1.5, intercept=-20, windows=(Window(40, 400),), inverse=True)
    expected = np.rint(255 - window_values(samples * 1.5 - 20.0, Window(40, 400)))
    assert np.array_equal(shown(samples, presentation), expected)


def test_a_kept_table_grows_with_what_is_asked_of_it():
    tables, presentation = GreyTables(), Presentation(windows=(Window(500, 3000),))
    for low, high in ((0, 900), (-700, 100), (-200, 300), (1500, 2500)):
        samples = noise("<i2", low, high, seed=high)
        expected = np.rint(window_values(samples.astype("f8"), Window(500, 3000)))
        assert np.array_equal(shown(samples, presentation, tables=tables), expected)


def test_tables_are_not_shared_by_what_differs():
    tables, samples = GreyTables(), noise("<u2", 0, 4096)
    one, other = Presentation(windows=(Window(500, 3000),)), Presentation(windows=(Window(90, 100),))
    asked = RenderOptions(window=Window(2000, 50))
    images = [
        shown(samples, one, tables=tables),
        shown(samples, other, tables=tables),
        shown(samples, one, asked, tables=tables),
        shown(samples, replace(one, inverse=True), tables=tables),
        shown(samples, one, stored=10, tables=tables),
    ]
    assert len({image.tobytes() for image in images}) == len(images)


def test_few_tables_are_kept():
    tables, samples = GreyTables(capacity=2), noise("<u2", 0, 4096)
    for center in range(5):
        shown(samples, Presentation(windows=(Window(center, 300),)), tables=tables)
    assert len(tables._kept) == 2


@pytest.mark.parametrize(
    ("padding", "ends"),
    [
        (None, (-30, 41)),
        ((-30, -20), (-19, 41)),
        ((-30.5, -19.5), (-19, 41)),
        ((40, 41), (-30, 39)),
        ((-5, 5), (-30, 41)),
        ((-900, -800), (-30, 41)),
        ((-40, 50), (-30, 41)),
        ((100, 200), (-30, 41)),
        ((-40_000, -25), (-24, 41)),
        ((35, 70_000), (-30, 34)),
    ],
)
def test_padding_does_not_set_the_range(padding, ends):
    """P-3; padding in the middle, or that is all of the image, changes nothing."""
    samples = np.arange(-30, 42, dtype="<i2").reshape(8, 9)
    expected = np.rint(stretch_values(samples.astype("f8"), *ends))
    assert np.array_equal(shown(samples, Presentation(padding=padding)), expected)


@pytest.mark.parametrize("crop", [np.s_[:, :], np.s_[5:, 3:700], np.s_[::-1, ::-1]])
def test_large_and_mirrored_images_go_by_rows(crop):
    samples = noise("<u2", 0, 4096, (700, 800))
    options = RenderOptions(window=Window(2000, 3000))
    found = grey_image(samples, samples[crop], described(samples), Presentation(), options, lossy=False)
    assert np.array_equal(found, np.rint(window_values(samples[crop].astype("f8"), options.window)))


@pytest.mark.parametrize("dtype", ["<i2", "<u2"])
@pytest.mark.parametrize("stored", [8, 12, 16])
def test_what_the_mask_leaves_alone_is_known(dtype, stored):
    info = np.iinfo(dtype)
    for low, high in ((0, 100), (0, 255), (0, 256), (-128, 0), (-2049, 5), (info.min, info.max)):
        if low < info.min:
            continue
        words = np.arange(low, high + 1).astype(dtype).reshape(1, -1)
        pixels = described(words, stored)
        same = np.array_equal(mask_samples(words, pixels), words)
        assert keeps_range(low, high, pixels) == same
