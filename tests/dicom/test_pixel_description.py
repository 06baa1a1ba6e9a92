"""Layout arithmetic of native frames (PS3.3 C.7.6.3; dicomweb.md F-5)."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import FLOAT_PIXEL_DATA, PixelDescription


@pytest.mark.parametrize(
    ("pixels", "length", "dtype", "shape"),
    [
        (PixelDescription(4, 3), 24, "<u2", (4, 3)),
        (PixelDescription(4, 3, pixel_representation=1), 24, "<i2", (4, 3)),
        (PixelDescription(5, 3, bits_allocated=8), 15, "|u1", (5, 3)),
        (PixelDescription(5, 3, 3, bits_allocated=8), 45, "|u1", (5, 3, 3)),
        (PixelDescription(5, 3, bits_allocated=1, number_of_frames=9), 2, "|u1", (5, 3)),
        (PixelDescription(2, 2, bits_allocated=32, keyword=FLOAT_PIXEL_DATA), 16, "<f4", (2, 2)),
        (PixelDescription(2, 2, bits_allocated=64, keyword="DoubleFloatPixelData"), 32, "<f8", (2, 2)),
    ],
)
def test_length_type_and_shape_of_one_frame(pixels, length, dtype, shape):
    assert (pixels.frame_length, pixels.dtype, pixels.frame_shape) == (length, dtype, shape)
    assert np.dtype(pixels.dtype).str == dtype
