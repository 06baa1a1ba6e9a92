"""ICC profiles of colour images: their own, or a conversion to sRGB (dicomweb.md R-10; PS3.3 C.11.15)."""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms
from pydicom import Dataset

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.attributes import (
    first_item,
    group_of_frame,
    items_of,
    tags_of,
    text_of,
    value_of,
)
from dicomweb_gateway.pixels.optionals import Samples

PROFILED_TYPES = ("image/jpeg", "image/png")
"""Media types in which we embed a profile."""

PROFILES = tags_of("ICCProfile", "OpticalPathSequence", "OpticalPathIdentificationSequence")
"""What `own_profile` reads, outside and inside of functional groups."""

OWN, SRGB = "yes", "srgb"
"""What can be asked for: the colours as they are with the profile that describes them, or as sRGB."""

_HEADER, _LARGEST = 128, 4 << 20
_SIZE, _SPACE, _DATE, _MAGIC = slice(0, 4), slice(16, 20), slice(24, 36), slice(36, 40)


def own_profile(dataset: Dataset, frame_index: int) -> bytes | None:
    """The RGB profile of frame `frame_index` (0-based), without padding; None when there is no sound one.

    That of the frame's optical path, else of the first path, where the instance has none itself.
    """
    value = value_of(dataset, "ICCProfile")
    if value is None:
        path = _optical_path(dataset, frame_index)
        value = None if path is None else value_of(path, "ICCProfile")
    if not isinstance(value, bytes) or not _HEADER < len(value) <= _LARGEST:
        return None
    length = int.from_bytes(value[_SIZE], "big")
    sound = _HEADER < length <= len(value) and value[_MAGIC] == b"acsp" and value[_SPACE] == b"RGB "
    return value[:length] if sound else None


def profiled(image: Samples, wanted: str, own: bytes | None) -> tuple[Samples, bytes | None]:
    """`image` (uint8 RGB) in the colours that are `wanted`, and the profile to embed, None for none.

    Colours without a profile are taken for sRGB, as browsers take them. Grey images and other wishes than
    OWN and SRGB change nothing. Raises UndecodablePixels when the own profile cannot be applied.
    """
    if image.ndim != 3 or wanted not in (OWN, SRGB):
        return image, None
    if own is None or wanted == OWN:
        return image, own or _srgb()
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(own))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(Image.fromarray(image), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise UndecodablePixels(f"the ICC profile of the image cannot be applied: {error}") from error
    return np.asarray(converted), _srgb()


@cache
def _srgb() -> bytes:
    """The sRGB profile, the same bytes in every process: its date is that of the standard, not of today."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[_DATE] = b"".join(number.to_bytes(2, "big") for number in (1999, 10, 1, 0, 0, 0))
    return bytes(made)


def _optical_path(dataset: Dataset, frame_index: int) -> Dataset | None:
    group = group_of_frame(dataset, frame_index, "OpticalPathIdentificationSequence")
    name = text_of(group, "OpticalPathIdentifier") if group is not None else ""
    paths = items_of(dataset, "OpticalPathSequence")
    named = (path for path in paths if name and text_of(path, "OpticalPathIdentifier") == name)
    return next(named, None) or first_item(dataset, "OpticalPathSequence")
