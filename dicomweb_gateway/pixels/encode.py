"""Rendered images as files: JPEG, PNG, GIF, JPEG 2000 (dicomweb.md R-2, R-6)."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.optionals import Samples, encode_picture_jpeg, encode_png

RENDERED_TYPES = ("image/jpeg", "image/png", "image/gif", "image/jp2")
"""Media types that `encode_image` writes, the default first."""

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/jp2": "JPEG2000"}
_FINE_QUALITY = 90
"""From this quality on JPEG keeps chroma at full resolution."""


def encode_image(image: Samples, media_type: str, quality: int = 90, profile: bytes | None = None) -> bytes:
    """`image` (uint8, (h, w) grey or (h, w, 3) RGB) as one file of `media_type`.

    `quality` (1 to 100) counts for JPEG only; PNG and JPEG 2000 are lossless; GIF reduces colour to
    256 entries, grey stays exact. `profile` is an ICC profile to embed, for PROFILED_TYPES. Raises
    UndecodablePixels for another type, or an image too large for the format.
    """
    ready = np.ascontiguousarray(image)
    if profile is None and media_type == "image/jpeg":
        return encode_picture_jpeg(ready, quality, "444" if quality >= _FINE_QUALITY else "420")
    if profile is None and media_type == "image/png":
        return encode_png(ready)
    options: dict[str, Any] = {} if profile is None else {"icc_profile": profile}
    if media_type == "image/jpeg":
        options |= {"quality": quality, "subsampling": 0 if quality >= _FINE_QUALITY else 2}
    elif media_type == "image/png":
        options["compress_level"] = 3
    return _saved(ready, media_type, options)


def _saved(image: Samples, media_type: str, options: dict[str, Any]) -> bytes:
    if media_type not in _FORMATS:
        raise UndecodablePixels(f"images cannot be written as {media_type}")
    target = BytesIO()
    try:
        Image.fromarray(image).save(target, _FORMATS[media_type], **options)
    except (OSError, ValueError) as error:
        raise UndecodablePixels(f"{media_type}: {error}") from error
    return target.getvalue()
