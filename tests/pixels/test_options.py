"""How far a decode may be reduced for a viewport (R-12)."""

import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.options import RenderOptions, Viewport, reduction_for

PIXELS = PixelDescription(512, 1024)


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
        (Viewport(1, 1), 10),
        (Viewport(1024, 128), 2),
        (Viewport(128, 128, 0, 0, 128, 128), 0),
        (Viewport(128, 128, 768, 256), 1),
        (Viewport(64, 64, 0, 0, -256, 256), 2),
    ],
)
def test_reduction(viewport, reduction):
    assert reduction_for(RenderOptions(viewport=viewport), PIXELS) == reduction


@pytest.mark.parametrize(
    "pixels",
    [
        PixelDescription(512, 512, bits_allocated=1),
        PixelDescription(512, 512, photometric_interpretation="PALETTE COLOR"),
        PixelDescription(512, 512, bits_allocated=32, keyword="FloatPixelData"),
    ],
)
def test_what_cannot_be_averaged_is_decoded_whole(pixels):
    assert reduction_for(RenderOptions(viewport=Viewport(64, 64)), pixels) == 0


def test_labels_are_decoded_whole():
    assert reduction_for(RenderOptions(viewport=Viewport(64, 64)), PIXELS, index_values=True) == 0
