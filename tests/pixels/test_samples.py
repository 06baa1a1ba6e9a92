"""P-1: stored words to stored values."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.samples import mask_samples, stored_range


def pixels(allocated: int, stored: int, high: int, signed: int = 0) -> PixelDescription:
    return PixelDescription(
        1, 1, bits_allocated=allocated, bits_stored=stored, high_bit=high, pixel_representation=signed
    )


@pytest.mark.parametrize(
    ("word", "dtype", "description", "value"),
    [
        (0xF123, "<u2", pixels(16, 12, 11), 0x123),
        (0x1FFF, "<u2", pixels(16, 12, 11), 0xFFF),
        (0xABCD, "<u2", pixels(16, 16, 15), 0xABCD),
        (0xABCD, "<u2", pixels(16, 12, 15), 0xABC),
        (0xABCD, "<u2", pixels(16, 8, 11), 0xBC),
        (0x0FFF, "<i2", pixels(16, 12, 11, 1), -1),
        (0x0800, "<i2", pixels(16, 12, 11, 1), -2048),
        (0x17FF, "<i2", pixels(16, 12, 11, 1), 2047),
        (0x7FF0, "<i2", pixels(16, 12, 15, 1), 0x7FF),
        (0xFF, "|u1", pixels(8, 7, 6), 0x7F),
        (0x7F, "|i1", pixels(8, 7, 6, 1), -1),
        (0xFFFF0001, "<u4", pixels(32, 16, 15), 1),
    ],
)
def test_only_stored_bits_count(word, dtype, description, value):
    unsigned = dtype.replace("i", "u")
    samples = np.array([[word]], unsigned).view(dtype)
    masked = mask_samples(samples, description)
    assert masked.dtype == samples.dtype
    assert masked[0, 0] == value


@pytest.mark.parametrize(
    ("word", "description", "value"),
    [(1024, pixels(16, 10, 9), 1023), (5, pixels(16, 10, 9), 5), (-2060, pixels(16, 12, 11, 1), -2048)],
)
def test_overshoot_of_lossy_codings_is_clamped(word, description, value):
    samples = np.array([[word]], description.dtype)
    assert mask_samples(samples, description, lossy=True)[0, 0] == value


@pytest.mark.parametrize(
    "description",
    [
        pixels(16, 16, 15),
        PixelDescription(1, 1, bits_allocated=32, keyword="FloatPixelData"),
        pixels(1, 1, 0),
    ],
)
def test_nothing_to_mask_is_no_copy(description):
    samples = np.ones((1, 1), description.dtype)
    assert mask_samples(samples, description) is samples


@pytest.mark.parametrize(
    ("description", "ends"), [(pixels(16, 12, 11), (0, 4095)), (pixels(16, 12, 11, 1), (-2048, 2047))]
)
def test_stored_range(description, ends):
    assert stored_range(description) == ends
