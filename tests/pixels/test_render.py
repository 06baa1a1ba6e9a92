"""The pipeline P-1 to P-11, held against pydicom's own processing over files and against the formulas."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import InvalidRequest, UndecodablePixels
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.encoders import encode_htj2k
from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.options import RenderOptions, Viewport, Window
from dicomweb_gateway.pixels.presentation import Presentation, presentation_of
from dicomweb_gateway.pixels.render import render
from dicomweb_gateway.pixels.resize import reduction_for
from tests.pixels.reference import reference_image
from tests.pixels.samples_of_files import expected_entries, frames_of, open_file

HTJ2K = "1.2.840.10008.1.2.4.202"
NO_OPTIONS = RenderOptions()
NEUTRAL = Presentation()

ENTRIES = [entry["path"] for entry in expected_entries() if entry["path"].endswith(".dcm")]
NO_REFERENCE = {
    "rt/rtimage-implicit-16bit.dcm": "pydicom refuses the LINEAR window below 1; we take it as exact",
    "us/us-palette-ob-bigendian.dcm": "pydicom takes the big-endian bytes of an OW palette for little-endian "
    "ones; metadata never are big-endian",
}
BUNDLED_BROKEN = {"JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm"}
LARGEST = 16 << 20


def bundled_images() -> list[Path]:
    """The image files that come with pydicom."""
    found = []
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        with suppress(Exception):
            if open_file(path)[2].rows:
                found.append(path)
    return found


def assert_as_pydicom_renders(path) -> None:
    """First and middle frame are within one grey level, in every pixel, of tests/pixels/reference.py."""
    dataset, uid, pixels = open_file(path)
    if pixels.frame_length > LARGEST:
        pytest.skip("the frame takes too long")
    frames = frames_of(dataset, uid, pixels)
    for index in sorted({0, (len(frames) - 1) // 2}):
        samples = decode_frame(frames[index], uid, pixels)
        photometric = decoded_photometric(uid, pixels)
        image = render(samples, pixels, photometric, presentation_of(dataset, index), NO_OPTIONS)
        expected = reference_image(dataset, uid, index)
        assert (image.dtype, image.shape) == (np.uint8, expected.shape)
        assert image.shape[:2] == (pixels.rows, pixels.columns)
        assert np.abs(expected - image).max() <= 1


@pytest.mark.skipif(not ENTRIES, reason="no DICOM corpus here (set DICOM_CORPUS)")
@pytest.mark.parametrize("path", sorted(set(ENTRIES) - NO_REFERENCE.keys()))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_corpus_renders_as_pydicom_does(path, corpus):
    assert_as_pydicom_renders(corpus / path)


@pytest.mark.parametrize("path", bundled_images(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bundled_files_render_as_pydicom_does(path):
    if path.name in BUNDLED_BROKEN:
        with pytest.raises(UndecodablePixels):
            assert_as_pydicom_renders(path)
    else:
        assert_as_pydicom_renders(path)


def grey_pixels(samples, **changes) -> PixelDescription:
    bits = samples.dtype.itemsize * 8
    facts = {
        "bits_allocated": bits,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "pixel_representation": int(samples.dtype.kind == "i"),
    }
    return PixelDescription(*samples.shape, **(facts | changes))


def shown(samples, presentation=NEUTRAL, options=NO_OPTIONS, **changes):
    pixels = grey_pixels(samples, **changes)
    return render(samples, pixels, pixels.photometric_interpretation, presentation, options)


@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("window", [Window(40, 80), Window(10, 30, "LINEAR_EXACT"), Window(0, 50, "SIGMOID")])
def test_every_sample_type_follows_the_formula(dtype, window):
    low = -100 if np.dtype(dtype).kind in "if" else 0
    samples = np.arange(low, 110).reshape(-1, 10).astype(dtype)
    x = samples.astype(float) * 0.5 + 3
    center, width, function = window
    if function == "LINEAR":
        expected = np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
    elif function == "LINEAR_EXACT":
        expected = np.clip((x - center) / width + 0.5, 0, 1) * 255
    else:
        expected = 255 / (1 + np.exp(-4 * (x - center) / width))
    keyword = "FloatPixelData" if np.dtype(dtype).kind == "f" else "PixelData"
    presentation = Presentation(slope=0.5, intercept=3, windows=(Window(1, 1),))
    image = shown(samples, presentation, RenderOptions(window=window), keyword=keyword)
    assert np.abs(image - expected).max() <= 0.5001


@pytest.mark.parametrize(
    ("presentation", "expected"),
    [
        (NEUTRAL, [0, 85, 170, 255]),
        (Presentation(inverse=True), [255, 170, 85, 0]),
        (Presentation(slope=-1), [255, 170, 85, 0]),
        (Presentation(padding=(0, 0)), [0, 0, 128, 255]),
        (Presentation(padding=(10, 30)), [0, 255, 255, 255]),
        (Presentation(padding=(0, 30)), [0, 85, 170, 255]),
        (Presentation(value_range=(0, 60)), [0, 42, 85, 128]),
        (Presentation(windows=(Window(15.5, 11), Window(1, 1))), [0, 0, 255, 255]),
        (Presentation(voi_lut=Lut(10, np.array([0, 255], "u2"), 8)), [0, 0, 255, 255]),
        (
            Presentation(voi_lut=Lut(0, np.array([51], "u2"), 8), windows=(Window(1, 1),)),
            [51, 51, 51, 51],
        ),
        (
            Presentation(modality_lut=Lut(0, np.array([*[0] * 10, *[5] * 20, 10], "u2"), 8)),
            [0, 128, 128, 255],
        ),
    ],
)
def test_order_of_the_pipeline(presentation, expected):
    assert shown(np.array([[0, 10, 20, 30]], "<u2"), presentation)[0].tolist() == expected


@pytest.mark.parametrize(
    ("words", "changes", "presentation", "expected"),
    [
        ([0xF000, 0x0FFF], {"bits_stored": 12, "high_bit": 11}, NEUTRAL, [0, 255]),
        ([0, 500, 1024], {"bits_stored": 10, "high_bit": 9}, Presentation(lossy=True), [0, 125, 255]),
    ],
)
def test_bits_above_bits_stored(words, changes, presentation, expected):
    assert shown(np.array([words], "<u2"), presentation, **changes)[0].tolist() == expected


def test_signed_words_are_extended_from_bits_stored():
    samples = np.array([[0x0800, 0x0FFF, 0x0000, 0x07FF]], "<u2").view("<i2")
    image = shown(samples, bits_stored=12, high_bit=11)
    assert image[0].tolist() == [0, 127, 128, 255]


def test_masks_are_black_and_white():
    samples = np.array([[0, 1, 1, 0]], "u1")
    image = shown(samples, Presentation(value_range=(0, 1)), bits_allocated=1, bits_stored=1, high_bit=0)
    assert image[0].tolist() == [0, 255, 255, 0]


def test_an_empty_mask_is_black():
    image = shown(np.zeros((2, 2), "u1"), Presentation(value_range=(0, 1)), bits_allocated=1)
    assert not image.any()


def test_floats_without_a_number_are_black():
    samples = np.array([[np.nan, 1.0, 3.0, np.inf]], "<f4")
    assert shown(samples, keyword="FloatPixelData")[0].tolist() == [0, 0, 255, 255]


def test_a_constant_image_renders():
    assert len(np.unique(shown(np.full((4, 4), 7, "<i2")))) == 1


def colour_pixels(samples, photometric: str, stored: int) -> PixelDescription:
    bits = samples.dtype.itemsize * 8
    return PixelDescription(*samples.shape, bits, stored, stored - 1, 0, photometric)


def test_eight_bit_rgb_as_png_is_identical():
    samples = np.random.default_rng(2).integers(0, 256, (30, 40, 3)).astype("u1")
    pixels = colour_pixels(samples, "RGB", 8)
    image = render(samples, pixels, "RGB", Presentation(slope=3, windows=(Window(1, 2),)), NO_OPTIONS)
    png = Image.open(BytesIO(encode_image(image, "image/png")))
    assert np.array_equal(np.asarray(png), samples)


@pytest.mark.parametrize(("dtype", "stored"), [("<u2", 16), ("<u2", 12), ("<u4", 32), ("|u1", 6)])
def test_deep_colour_is_scaled_by_bits_stored(dtype, stored):
    top = (1 << stored) - 1
    samples = np.array([[[0, top // 2, top]]], dtype)
    image = render(samples, colour_pixels(samples, "RGB", stored), "RGB", NEUTRAL, NO_OPTIONS)
    assert np.abs(image[0, 0] - samples[0, 0] * (255 / top)).max() <= 0.5001


@pytest.mark.parametrize(
    ("photometric", "ybr", "rgb"),
    [
        ("YBR_FULL", [76, 85, 255], [254, 0, 0]),
        ("YBR_FULL", [128, 128, 128], [128, 128, 128]),
        ("YBR_PARTIAL_422", [16, 128, 128], [0, 0, 0]),
        ("YBR_PARTIAL_422", [235, 128, 128], [255, 255, 255]),
        ("YBR_PARTIAL_420", [81, 90, 240], [255, 0, 0]),
    ],
)
def test_ybr(photometric, ybr, rgb):
    samples = np.array([[ybr]], "u1")
    image = render(samples, colour_pixels(samples, photometric, 8), photometric, NEUTRAL, NO_OPTIONS)
    assert np.abs(image[0, 0].astype(int) - rgb).max() <= 1


def test_palettes():
    table = Lut(5, np.array([10, 20, 30], "u1"), 8)
    other = Lut(5, np.array([99, 98, 97], "u1"), 8)
    samples = np.array([[0, 5, 6, 7, 9]], "u1")
    image = render(
        samples,
        grey_pixels(samples),
        "PALETTE COLOR",
        Presentation(palette=(table, other, table)),
        NO_OPTIONS,
    )
    assert image[0].tolist() == [[10, 99, 10], [10, 99, 10], [20, 98, 20], [30, 97, 30], [30, 97, 30]]


@pytest.mark.parametrize("photometric", ["PALETTE COLOR", "HSV"])
def test_colours_that_cannot_be_shown(photometric):
    shape = (2, 2) if photometric == "PALETTE COLOR" else (2, 2, 3)
    samples = np.zeros(shape, "u1")
    pixels = PixelDescription(2, 2, 1 if len(shape) == 2 else 3, 8, 8, 7, 0, photometric)
    with pytest.raises(UndecodablePixels):
        render(samples, pixels, photometric, NEUTRAL, NO_OPTIONS)


GRADIENT = np.add.outer(np.arange(0, 2000, 4), np.arange(0, 1200, 4)).astype("<u2")


@pytest.mark.parametrize(
    ("viewport", "aspect", "shape"),
    [
        (Viewport(128, 128), 1, (128, 77)),
        (Viewport(128, 128), 0.5, (107, 128)),
        (Viewport(1000, 1000), 1, (1000, 600)),
        (Viewport(100, 100, 0, 0, 50, 50), 1, (100, 100)),
    ],
)
def test_viewports(viewport, aspect, shape):
    assert shown(GRADIENT, Presentation(aspect=aspect), RenderOptions(viewport=viewport)).shape == shape


def test_a_region_keeps_the_contrast_of_the_whole_frame():
    corner = RenderOptions(viewport=Viewport(50, 50, 0, 0, 50, 50))
    assert np.array_equal(shown(GRADIENT, options=corner), shown(GRADIENT)[:50, :50])


def test_a_mirrored_region():
    mirrored = RenderOptions(viewport=Viewport(300, 500, 0, 0, -300, 500))
    assert np.array_equal(shown(GRADIENT, options=mirrored), shown(GRADIENT)[:, ::-1])


def test_a_region_outside_is_refused():
    with pytest.raises(InvalidRequest, match="viewport"):
        shown(GRADIENT, options=RenderOptions(viewport=Viewport(10, 10, 0, 0, 301, 10)))


def test_a_reduced_decode_shows_the_same_image():
    """R-12: fewer resolutions decoded, hardly another picture."""
    pixels = grey_pixels(GRADIENT)
    options = RenderOptions(viewport=Viewport(64, 64))
    reduce = reduction_for(options.viewport, pixels)
    coded = encode_htj2k(GRADIENT)
    whole, less = (decode_frame(coded, HTJ2K, pixels, reduce=levels) for levels in (0, reduce))
    assert less.shape < whole.shape
    images = [render(samples, pixels, "MONOCHROME2", NEUTRAL, options) for samples in (whole, less)]
    assert images[0].shape == images[1].shape
    assert np.abs(images[0].astype(int) - images[1]).max() <= 4


def test_a_reduced_decode_never_wraps_white_to_black():
    board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((33, 33))).astype("<u2") * 4095
    pixels = grey_pixels(board, bits_stored=12, high_bit=11)
    less = decode_frame(encode_htj2k(board), HTJ2K, pixels, reduce=1)
    assert less.max() > 4095, "no overshoot, so this test shows nothing"
    image = render(less, pixels, "MONOCHROME2", NEUTRAL, NO_OPTIONS)
    assert (image[less > 4095] == 255).all()


@pytest.mark.parametrize(
    "presentation",
    [
        Presentation(slope=1e308, intercept=-1e308),
        Presentation(slope=1e308, inverse=True, windows=(Window(1e308, 1.7e308),)),
        Presentation(windows=(Window(-1.7e308, 1.7e308),)),
        Presentation(windows=(Window(0, 1e-320, "SIGMOID"),)),
        Presentation(windows=(Window(1e308, 5e-324, "LINEAR_EXACT"),)),
    ],
)
def test_absurd_numbers_give_an_image(presentation):
    """P-2 to P-4: whatever a file says, without a numpy warning (which would be an error here)."""
    image = shown(np.array([[-32768, -1, 0, 1, 32767]], "<i2"), presentation)
    assert image.dtype == np.uint8
