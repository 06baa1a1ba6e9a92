"""Rendered images written and read back."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.encode import RENDERED_TYPES, encode_image

GREY = (np.add.outer(np.arange(60), np.arange(80)) % 256).astype("u1")
COLOUR = np.dstack([GREY, GREY[::-1], np.full_like(GREY, 90)])


def read(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


@pytest.mark.parametrize("media_type", RENDERED_TYPES)
@pytest.mark.parametrize(("image", "mode"), [(GREY, "L"), (COLOUR, "RGB")])
def test_types(media_type, image, mode):
    found = read(encode_image(image, media_type))
    assert Image.MIME[found.format] == media_type
    assert found.size == (80, 60)
    if media_type != "image/gif":
        assert found.mode == mode
    assert np.abs(np.asarray(found.convert(mode)).astype(int) - image).mean() < 12


@pytest.mark.parametrize("image", [GREY, COLOUR])
@pytest.mark.parametrize("media_type", ["image/png", "image/jp2"])
def test_lossless_types_are_exact(image, media_type):
    assert np.array_equal(np.asarray(read(encode_image(image, media_type))), image)


def test_grey_gif_is_exact():
    assert np.array_equal(np.asarray(read(encode_image(GREY, "image/gif")).convert("L")), GREY)


def test_quality_matters():
    sizes = [len(encode_image(COLOUR, "image/jpeg", quality)) for quality in (1, 50, 90, 100)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4


def test_other_types_are_refused():
    with pytest.raises(UndecodablePixels, match="image/bmp"):
        encode_image(GREY, "image/bmp")


def test_an_image_too_large_for_jpeg_is_refused():
    with pytest.raises(UndecodablePixels, match="image/jpeg"):
        encode_image(np.zeros((1, 70000), "u1"), "image/jpeg")
