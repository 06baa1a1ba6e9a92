"""A computed line gives the table's levels for every word, or there is none (P-3, P-4)."""

import numpy as np
import pytest

from dicomweb_gateway.pixels.grey_line import line_through
from dicomweb_gateway.pixels.lut import stretch_values, window_values
from dicomweb_gateway.pixels.options import LINEAR, LINEAR_EXACT, SIGMOID, Window


def tried(words, shown):
    """The line, after it was compared with the rounded values word by word."""
    levels = np.rint(shown).astype("u1")
    line = line_through(words, shown, levels)
    if line is not None:
        image = np.empty(words.shape, "u1")
        line.apply(words, image, np.empty(words.shape, "f4"))
        assert np.array_equal(image, levels)
    return line


SIGNED = np.arange(-2048, 4096).astype("<i2")
UNSIGNED = np.arange(0, 1 << 16).astype("<u2")


WINDOWS = [(40, 400), (-600, 1500), (50.5, 350.25), (300, 2000), (1000, 4095), (40, 401)]


@pytest.mark.parametrize("words", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])
@pytest.mark.parametrize("window", WINDOWS)
def test_usual_windows_are_lines(words, window):
    assert tried(words, window_values(words.astype("f8"), Window(*window, LINEAR))) is not None


@pytest.mark.parametrize("window", WINDOWS)
def test_words_halfway_between_two_levels_come_out_as_in_the_table_or_there_is_no_line(window):
    tried(SIGNED, window_values(SIGNED.astype("f8"), Window(*window, LINEAR_EXACT)))


def test_an_inverted_line_falls():
    line = tried(SIGNED, 255 - window_values(SIGNED.astype("f8"), Window(40, 400)))
    assert line is not None
    assert line.scale < 0


@pytest.mark.parametrize(
    "shown",
    [
        window_values(SIGNED.astype("f8"), Window(40, 400, SIGMOID)),
        window_values(SIGNED.astype("f8"), Window(40, 1)),
        stretch_values((SIGNED & 1023).astype("f8"), 0, 1023),
        np.zeros(len(SIGNED)),
    ],
    ids=["sigmoid", "step", "folded", "black"],
)
def test_what_is_no_line_has_none(shown):
    assert tried(SIGNED, shown) is None


def test_one_wrong_word_is_enough():
    shown = window_values(SIGNED.astype("f8"), Window(40, 400))
    levels = np.rint(shown).astype("u1")
    levels[2100] += 1
    assert line_through(SIGNED, shown, levels) is None


def test_random_windows_never_differ():
    chance = np.random.default_rng(7)
    for _ in range(60):
        center, width = chance.uniform(-2000, 4000), chance.uniform(1, 5000)
        tried(SIGNED, window_values(SIGNED.astype("f8"), Window(center, width)))
