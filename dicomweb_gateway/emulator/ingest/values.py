"""One DICOM element as the value that HealthImaging shows in its metadata JSON (healthimaging.md 2.3)."""

import base64
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydicom.charset import decode_bytes, default_encoding

_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C}
_PN_DELIMITERS = {*_DELIMITERS, 0x5E, 0x3D}
_PADDING = " \0"

NUMBERS = {"US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8"}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
BINARY = frozenset({"OB", "UN", *_WORDS})
_LOCALE_TEXT = frozenset({"SH", "LO", "UC", "PN", "ST", "LT", "UT"})
_ONE_TEXT = frozenset({"ST", "LT", "UT", "UR"})
_STRIPPED_BOTH_ENDS = frozenset({"AE", "DS", "IS"})


class UnfitValue(Exception):
    """The bytes do not have the form of the VR; they are kept as UN."""


def json_value(data: bytes, vr: str, *, little_endian: bool, encodings: Sequence[str], single: bool) -> Any:
    """The JSON value of an element's bytes; None when it is empty, "" when it is empty and binary.

    `encodings` are Python codec names as pydicom derives them from SpecificCharacterSet. `single` says that
    the dictionary fixes the multiplicity at 1 (or knows nothing): then one value stands alone, several stand
    in an array. Without it there is always an array. UnfitValue when the bytes make no value of that VR.
    """
    if vr in BINARY:
        return base64.b64encode(_little_endian(data, vr, little_endian)).decode("ascii")
    if vr in NUMBERS:
        return shaped(_numbers(data, vr, little_endian), single)
    if vr == "AT":
        return _attribute_tags(data, little_endian)
    return shaped(texts(data, vr, encodings), single or vr in _ONE_TEXT)


def texts(data: bytes, vr: str, encodings: Sequence[str]) -> list[str]:
    """The components of a text element, padding cut off; [] when there is nothing but padding."""
    text = _decoded(data, vr, encodings)
    parts = [text] if vr in _ONE_TEXT else text.split("\\")
    strip: Callable[[str], str] = (
        (lambda part: part.strip(_PADDING))
        if vr in _STRIPPED_BOTH_ENDS
        else lambda part: part.rstrip(_PADDING)
    )
    stripped = [strip(part) for part in parts]
    return [] if stripped == [""] else stripped


def shaped(values: list[Any], single: bool) -> Any:
    """`values` as scalar, array or null by the rule of 2.3 (VM not fixed at 1: always an array)."""
    if not values:
        return None
    return values[0] if single and len(values) == 1 else values


def kind_of(vr: str) -> str:
    """How values of `vr` look in JSON: "sequence", "binary", "number" or "text"."""
    if vr == "SQ":
        return "sequence"
    if vr in BINARY:
        return "binary"
    return "number" if vr in NUMBERS else "text"


def _decoded(data: bytes, vr: str, encodings: Sequence[str]) -> str:
    if vr not in _LOCALE_TEXT or not encodings:
        # Default repertoire only (PS3.5 6.1.2.3); Latin-1 keeps the stray bytes that real files have.
        return data.decode(default_encoding)
    delimiters = _PN_DELIMITERS if vr == "PN" else _DELIMITERS
    try:
        text = decode_bytes(data, list(encodings), delimiters)
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8")


def _numbers(data: bytes, vr: str, little_endian: bool) -> list[Any]:
    dtype = np.dtype(NUMBERS[vr]).newbyteorder("<" if little_endian else ">")
    if len(data) % dtype.itemsize:
        raise UnfitValue(f"{len(data)} bytes are no whole number of {vr} values")
    values = np.frombuffer(data, dtype).tolist()
    return [_finite(v) for v in values] if vr in ("FL", "FD") else values


def _finite(value: float) -> Any:
    """JSON has no NaN and no infinity: they are written as text, so that nothing is lost."""
    if math.isfinite(value):
        return int(value) if value == int(value) and abs(value) < 2**53 and str(value) != "-0.0" else value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _attribute_tags(data: bytes, little_endian: bool) -> list[str] | None:
    if len(data) % 4:
        raise UnfitValue(f"{len(data)} bytes are no whole number of AT values")
    words = struct.unpack(f"{'<' if little_endian else '>'}{len(data) // 2}H", data)
    return [f"{g:04X}{e:04X}" for g, e in zip(words[::2], words[1::2], strict=True)] or None


def as_unknown(data: bytes, vr: str, little_endian: bool) -> bytes:
    """The bytes of a `vr` value as a reader of UN expects them: little endian (PS3.5 6.2.2, note 2)."""
    size = 2 if vr == "AT" else int(NUMBERS[vr][1:]) if vr in NUMBERS else _WORDS.get(vr, 1)
    return data if len(data) % size else _swapped(data, size, little_endian)


def _little_endian(data: bytes, vr: str, little_endian: bool) -> bytes:
    """Binary words in little endian, since a reader of the JSON cannot know the file's byte order."""
    size = _WORDS.get(vr, 1)
    if len(data) % size and not little_endian:
        raise UnfitValue(f"{len(data)} bytes are no whole number of {vr} words")
    return _swapped(data, size, little_endian)


def _swapped(data: bytes, size: int, little_endian: bool) -> bytes:
    if little_endian or size == 1:
        return data
    return np.frombuffer(data, f">u{size}").astype(f"<u{size}").tobytes()
