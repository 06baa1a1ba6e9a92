"""Pixels before any window, and what a client is told to window them itself."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.options import Window
from dicomweb_gateway.pixels.presentation import Presentation
from dicomweb_gateway.pixels.unwindowed import curve_of, scaling_of, unwindowed, windows_of

TWELVE = PixelDescription(2, 3, bits_stored=12, high_bit=11)


def grey(values, pixels=TWELVE, **shown):
    samples = np.array(values, pixels.dtype)
    return unwindowed(samples, pixels, pixels.photometric_interpretation, Presentation(**shown))


def test_only_stored_bits_count():
    found = grey([[1, 2, 0xF003], [4, 5, 0x0FFF]])
    assert found.tolist() == [[1, 2, 3], [4, 5, 4095]]
    assert found.dtype.str == "<u2"


def test_a_reduced_image_is_clamped_and_not_wrapped():
    found = unwindowed(np.array([[4097, 9]], "<u2"), TWELVE, "MONOCHROME2", Presentation())
    assert found.tolist() == [[4095, 9]]


def test_a_modality_lut_is_gone_through_and_leaves_nothing_to_scale():
    lut = Lut(1, np.array([100, 200, 300], "u2"), 16)
    presentation = Presentation(modality_lut=lut, slope=2, intercept=7)
    found = unwindowed(np.array([[0, 1, 2], [3, 4, 9]], "<u2"), TWELVE, "MONOCHROME2", presentation)
    assert found.tolist() == [[100, 100, 200], [300, 300, 300]]
    assert scaling_of(presentation) == (1, 0)
    assert scaling_of(Presentation(slope=2, intercept=7)) == (2, 7)


@pytest.mark.parametrize(
    ("bits", "keyword", "expected"),
    [
        (32, "PixelData", "<u4"),
        (64, "PixelData", "<f8"),
        (32, "FloatPixelData", "<f4"),
        (8, "PixelData", "|u1"),
    ],
)
def test_every_type_is_one_that_a_browser_has(bits, keyword, expected):
    pixels = PixelDescription(1, 2, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1, keyword=keyword)
    assert grey([[1, 2]], pixels).dtype.str == expected


def test_palettes_give_colours():
    pixels = PixelDescription(
        1, 2, bits_allocated=8, bits_stored=8, high_bit=7, photometric_interpretation="PALETTE COLOR"
    )
    curves = tuple(Lut(0, np.array([low, 255], "u1"), 8) for low in (10, 20, 30))
    found = grey([[0, 1]], pixels, palette=curves)
    assert found.tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("shown", "windows"),
    [
        ({}, ()),
        ({"windows": (Window(40, 400),)}, (Window(40, 400),)),
        ({"value_range": (0.0, 1.0)}, (Window(0.5, 1.0, "LINEAR_EXACT"),)),
        (
            {"voi_lut": Lut(-10, np.arange(21), 8), "windows": (Window(1, 2),)},
            (Window(0, 20, "LINEAR_EXACT"), Window(1, 2)),
        ),
    ],
)
def test_the_first_window_is_the_one_to_begin_with(shown, windows):
    assert windows_of(Presentation(**shown)) == windows


def test_a_voi_lut_is_a_curve_over_its_inputs():
    lut = Lut(-10, np.array([0, 10, 255, 255, 20], "u1"), 8)
    curve = curve_of(Presentation(voi_lut=lut))
    assert [curve[0], curve[len(curve) // 4], curve[len(curve) // 2], curve[-1]] == [0, 10, 255, 20]
    assert curve_of(Presentation(windows=(Window(1, 2),))) is None
    assert curve_of(Presentation(voi_lut=lut, value_range=(0.0, 1.0))) is None
