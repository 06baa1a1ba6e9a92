"""Tolerant reading of single values in image set metadata (healthimaging.md 2.3).

Values come as scalar or array, padded or trimmed, numbers as numbers or text; null, missing and "" mean
the same to a reader here.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

Tags = Mapping[str, Any]
"""One level's attributes as HealthImaging gives them: keyword (or 8 hex digits) to value."""

PADDING = " \0"
_URL_SAFE = str.maketrans("-_", "+/")


def first_value(tags: Tags, key: str) -> Any:
    """The first value of an attribute, text stripped of padding; None when it has no value."""
    value = tags.get(key)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        value = value.strip(PADDING)
    return None if value == "" else value


def text_values(tags: Tags, key: str) -> list[str]:
    """All values of an attribute as stripped text, empty ones dropped."""
    value = tags.get(key)
    values = value if isinstance(value, list) else [value]
    texts = (str(v).strip(PADDING) for v in values if v is not None)
    return [text for text in texts if text]


def text(tags: Tags, key: str) -> str | None:
    """The whole attribute as DICOM text, several values joined with a backslash; None when empty."""
    return "\\".join(text_values(tags, key)) or None


def integer(tags: Tags, key: str) -> int | None:
    """The first value as an integer, None when it is missing or no whole number."""
    return whole_number(first_value(tags, key))


def whole_number(value: Any) -> int | None:
    """`value` as an integer, however it is written (12, 12.0, "12 ", "12.0"); None when it is none."""
    try:
        if isinstance(value, str):
            value = value.strip(PADDING)
            return int(value)
    except ValueError:
        pass
    try:
        return int(value) if isinstance(value, int) else _whole_real(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _whole_real(number: float) -> int | None:
    return int(number) if number.is_integer() else None


def base64_bytes(text: str) -> bytes | None:
    """The bytes of base64 `text`, None when it is none (RFC 4648 3.3).

    White space, padding of the text and the URL-safe alphabet change no byte and are let through; missing
    padding of base64 may be a text that was cut off.
    """
    try:
        return b64decode(text, validate=True)
    except ValueError:
        text = "".join(text.strip(PADDING).split()).translate(_URL_SAFE)
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None
