"""Tolerant reading of single values in image set metadata (healthimaging.md 2.3).

Values come as scalar or array, padded or trimmed, numbers as numbers or text; null, missing and "" mean
the same to a reader here.
"""

from collections.abc import Mapping
from typing import Any

Tags = Mapping[str, Any]
"""One level's attributes as HealthImaging gives them: keyword (or 8 hex digits) to value."""

PADDING = " \0"


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
    value = first_value(tags, key)
    try:
        number = float(value)
        return int(number) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None
