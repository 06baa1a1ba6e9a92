"""ICC profiles: found, embedded, converted (R-10)."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset, Sequence

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.profile import OWN, PROFILED_TYPES, SRGB, own_profile, profiled

MADE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = MADE.replace(b"rXYZ", b"none", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"none", b"bXYZ", 1)
"""A profile whose red is the blue of sRGB."""

RED = np.zeros((4, 5, 3), "u1")
RED[..., 0] = 255


def with_profile(profile: object, **attributes) -> Dataset:
    made = Dataset()
    made.add_new("ICCProfile", "OB", profile)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (MADE, MADE),
        (MADE + b"\0", MADE),
        (MADE[:-8], None),
        (MADE[:100], None),
        (b"", None),
        (MADE.replace(b"acsp", b"ascp", 1), None),
        (MADE.replace(b"RGB ", b"CMYK", 1), None),
        (MADE + b"\0" * (5 << 20), None),
    ],
    ids=["sound", "padded", "cut", "shorter", "empty", "unsigned", "of another space", "too large"],
)
def test_only_sound_profiles_count(value, found):
    assert own_profile(with_profile(value), 0) == found


def test_profiles_of_optical_paths():
    """PS3.3 C.8.12.5: the frame says which path it was taken through."""
    paths = Sequence(
        [with_profile(MADE, OpticalPathIdentifier="1"), with_profile(SWAPPED, OpticalPathIdentifier="2")]
    )
    second = Dataset()
    second.OpticalPathIdentificationSequence = Sequence([Dataset()])
    second.OpticalPathIdentificationSequence[0].OpticalPathIdentifier = "2"
    dataset = Dataset()
    dataset.OpticalPathSequence = paths
    dataset.PerFrameFunctionalGroupsSequence = Sequence([Dataset(), second])
    assert [own_profile(dataset, index) for index in range(3)] == [MADE, SWAPPED, MADE]
    assert own_profile(Dataset(), 0) is None


def test_own_colours_stay_as_they_are():
    image, profile = profiled(RED, OWN, SWAPPED)
    assert image is RED
    assert profile == SWAPPED


def test_srgb_is_converted_from_the_own_profile():
    image, profile = profiled(RED, SRGB, SWAPPED)
    assert np.abs(image.astype(int) - [0, 0, 255]).max() <= 2
    assert profile not in (None, SWAPPED)


@pytest.mark.parametrize("wanted", [OWN, SRGB])
def test_colours_of_an_unknown_kind_are_taken_for_srgb(wanted):
    image, profile = profiled(RED, wanted, None)
    assert image is RED
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).startswith("sRGB")


@pytest.mark.parametrize(("image", "wanted"), [(RED, "no"), (RED, "adobergb"), (RED[..., 0], OWN)])
def test_otherwise_nothing_happens(image, wanted):
    assert profiled(image, wanted, MADE) == (image, None)


def test_a_profile_that_cannot_be_applied_is_refused():
    with pytest.raises(UndecodablePixels, match="ICC profile"):
        profiled(RED, SRGB, MADE[:128] + b"\xff" * (len(MADE) - 128))


@pytest.mark.parametrize("media_type", PROFILED_TYPES)
def test_embedded(media_type):
    plain, found = (Image.open(BytesIO(encode_image(RED, media_type, 90, one))) for one in (None, SWAPPED))
    assert found.info["icc_profile"] == SWAPPED
    assert "icc_profile" not in plain.info
    assert np.array_equal(np.asarray(found), np.asarray(plain))
