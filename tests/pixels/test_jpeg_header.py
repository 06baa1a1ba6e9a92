"""JPEG headers as encoders write them."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpeg_header import JpegHeader, read_jpeg_header

GREY = np.zeros((20, 30), "u1")
COLOUR = np.zeros((20, 30, 3), "u1")


@pytest.mark.parametrize(
    ("stream", "header"),
    [
        (imagecodecs.jpeg8_encode(GREY), JpegHeader(30, 20, 1, 8, 0xC0, None, {1: (1, 1)})),
        (
            imagecodecs.jpeg8_encode(COLOUR),
            JpegHeader(30, 20, 3, 8, 0xC0, "YCBCR", {1: (2, 2), 2: (1, 1), 3: (1, 1)}),
        ),
        (
            imagecodecs.jpeg8_encode(COLOUR, colorspace="RGB", outcolorspace="RGB"),
            JpegHeader(30, 20, 3, 8, 0xC0, "RGB", {82: (1, 1), 71: (1, 1), 66: (1, 1)}),
        ),
        (
            imagecodecs.jpeg8_encode(GREY.astype("u2"), lossless=True, bitspersample=12),
            JpegHeader(30, 20, 1, 12, 0xC3, None, {1: (1, 1)}),
        ),
        (imagecodecs.jpegls_encode(GREY), JpegHeader(30, 20, 1, 8, 0xF7, None, {1: (1, 1)})),
    ],
)
def test_headers(stream, header):
    assert read_jpeg_header(bytes(stream)) == header


def test_fill_bytes_before_a_marker_are_skipped():
    stream = bytes(imagecodecs.jpeg8_encode(GREY))
    assert read_jpeg_header(stream[:2] + b"\xff\xff" + stream[2:]) == read_jpeg_header(stream)


def test_a_short_adobe_segment_says_nothing():
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR))
    short = b"\xff\xee\x00\x0cAdobe\x00\x64\x00\x00\x00"
    assert read_jpeg_header(stream[:2] + short + stream[2:]) == read_jpeg_header(stream)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\x00\x00", b"GIF89a"]
)
def test_no_header(data):
    with pytest.raises(UndecodablePixels):
        read_jpeg_header(data)
