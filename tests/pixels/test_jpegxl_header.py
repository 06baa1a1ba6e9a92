"""JPEG XL sizes as libjxl writes them."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpegxl_header import read_jpegxl_size

SHAPES = [(8, 8), (64, 256), (512, 512), (300, 400), (100, 90), (1, 7), (1000, 600), (3, 9000), (480, 640)]


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_sizes(shape, container):
    coded = imagecodecs.jpegxl_encode(np.zeros(shape, "u1"), lossless=True, usecontainer=container)
    assert read_jpegxl_size(bytes(coded)) == shape[::-1]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"\x00\x00\x00\x0cJXL \r\n\x87\n", b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(40)],
)
def test_no_jpeg_xl(data):
    with pytest.raises(UndecodablePixels, match="JPEG XL"):
        read_jpegxl_size(data)
