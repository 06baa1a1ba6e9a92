"""The formulas of P-4 and lookup tables at their ends."""

from math import exp

import numpy as np
import pytest

from dicomweb_gateway.pixels.lut import Lut, lut_values, stretch_values, window_values
from dicomweb_gateway.pixels.options import Window

INPUTS = [-70000.0, -1024.0, -1.0, 0.0, 0.5, 39.0, 40.0, 41.0, 127.0, 255.0, 4095.0, 70000.0]


def linear(x, c, w):
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 255.0
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


def linear_exact(x, c, w):
    if x <= c - w / 2:
        return 0.0
    if x > c + w / 2:
        return 255.0
    return ((x - c) / w + 0.5) * 255


def sigmoid(x, c, w):
    power = -4 * (x - c) / w
    return 0.0 if power > 700 else 255 / (1 + exp(power))


@pytest.mark.parametrize(("center", "width"), [(40, 400), (0, 1), (128, 256), (-600.5, 1500.5), (2048, 2)])
@pytest.mark.parametrize(
    ("function", "formula"),
    [("LINEAR", linear), ("LINEAR_EXACT", linear_exact), ("SIGMOID", sigmoid)],
)
def test_window_formulas(function, formula, center, width):
    found = window_values(np.array(INPUTS), Window(center, width, function))
    assert found == pytest.approx([formula(x, center, width) for x in INPUTS], abs=1e-9)


def test_a_linear_window_of_one_is_a_step():
    assert window_values(np.array([9.0, 9.5, 10.0]), Window(10, 1)).tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 127.5, 255, 255]), (50, 50, [0, 0, 255, 255]), (-100, 100, [127.5, 191.25, 255, 255])],
)
def test_stretch(low, high, expected):
    assert stretch_values(np.array([0.0, 50.0, 100.0, 200.0]), low, high).tolist() == expected


def test_a_table_takes_its_ends_beyond_them():
    table = Lut(-2, np.array([7, 8, 9], "u2"), 8)
    assert table.apply(np.array([-9.0, -2.0, -1.0, 0.0, 5.0, np.nan])).tolist() == [7, 7, 8, 9, 9, 7]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_no_input_type_wraps(dtype):
    table = Lut(5, np.array([10, 20, 30], "u1"), 8)
    assert table.apply(np.array([0, 5, 6, 7, 9], dtype)).tolist() == [10, 10, 20, 30, 30]


@pytest.mark.parametrize(("bits", "top", "white"), [(8, 255, 255), (12, 100, 4095), (8, 4095, 4095)])
def test_white_is_the_depth_or_what_the_table_really_holds(bits, top, white):
    table = Lut(0, np.array([0, top], "u2"), bits)
    assert table.white == white
    assert lut_values(np.array([1.0]), table)[0] == pytest.approx(top / white * 255)
