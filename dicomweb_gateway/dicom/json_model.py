"""The DICOM JSON model: single elements and whole documents (PS3.18 annex F; dicomweb.md J-20 to J-28)."""

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson

JsonElement = dict[str, Any]
JsonObject = dict[str, JsonElement]
"""One dataset: 8 upper-case hex digits to element, keys ascending."""

UTF8 = "ISO_IR 192"
"""The character set of every answer (J-28)."""

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
KEEPS_LEADING_SPACE = frozenset({"LT", "ST", "UT"})

_EXACT = 2**53
_LARGEST = 1.7976931348623157e308
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
"""Python refuses to read integers of some thousand digits; such a one stays text."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
PADDING = " \0"
"""What stands around a text and is no part of it."""
_CACHED = 32
"""Characters of a decimal that is worth remembering; DS has 16 at most (PS3.5 6.2)."""


def element(vr: str, values: Sequence[Any]) -> JsonElement:
    """One element; `values` are text (PN, IS, DS, AT ... as DICOM writes them), numbers or, for SQ, objects.

    No values, or one empty value, give `{"vr": vr}`; an empty member among others becomes null (J-21).
    Not for binary VRs: those are InlineBinary or BulkDataURI (J-25).
    """
    if vr == "SQ":
        return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
    convert = converter_of(vr)
    if len(values) > 1:
        return {"vr": vr, "Value": [convert(value) for value in values]}
    single = convert(values[0]) if values else None
    if single is None and not (values and _is_nan(values[0])):
        return {"vr": vr}
    return {"vr": vr, "Value": [single]}


def converter_of(vr: str) -> Callable[[Any], Any]:
    """What makes one member of Value out of one value, see `element`; None stands for no value.

    Not for SQ and binary VRs.
    """
    return _CONVERTERS.get(vr, _text)


def dumps(document: Any) -> bytes:
    """`document` as UTF-8 JSON with keys in the order they stand."""
    return orjson.dumps(document)


def _text(value: Any) -> str | None:
    return str(value).strip(PADDING) or None if value is not None else None


def _free_text(value: Any) -> str | None:
    return str(value).rstrip(PADDING) or None if value is not None else None


def _person_name(value: Any) -> dict[str, str] | None:
    groups = (group.strip(PADDING) for group in str(value or "").split("="))
    named = {name: group for name, group in zip(_PN_GROUPS, groups, strict=False) if group}
    return named or None


def _whole(number: int) -> int | str:
    return number if -_EXACT <= number <= _EXACT else str(number)


def _real(number: float) -> float | None:
    if math.isnan(number):
        return None
    return math.copysign(_LARGEST, number) if math.isinf(number) else number


def _integer(value: Any) -> int | float | str | None:
    if isinstance(value, int | float):
        return _whole(value) if isinstance(value, int) else _real(value)
    text = _text(value)
    return _whole(int(text)) if text and _INTEGER.fullmatch(text) else text


def _decimal(value: Any) -> int | float | str | None:
    return _decimal_of_text(value) if value.__class__ is str and len(value) <= _CACHED else _decimal_of(value)


@lru_cache(maxsize=4096)
def _decimal_of_text(value: str) -> int | float | str | None:
    return _decimal_of(value)


def _decimal_of(value: Any) -> int | float | str | None:
    whole = _integer(value)
    if isinstance(whole, str) and _DECIMAL.fullmatch(whole):
        number = float(whole)
        return whole if math.isinf(number) or _INTEGER.fullmatch(whole) else number
    return whole


def _number(value: Any) -> int | float | str | None:
    """A binary number; text is what JSON cannot carry ("NaN", "Infinity") or a number written as text."""
    if isinstance(value, str) and not _INTEGER.fullmatch(value.strip(PADDING)):
        try:
            return _real(float(value.strip(PADDING)))
        except ValueError:
            return _text(value)
    return _integer(value)


def _is_nan(value: Any) -> bool:
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return False


def _long(value: Any) -> str | None:
    return _text(value)


def _tag(value: Any) -> str | None:
    return f"{value:08X}" if isinstance(value, int) else (_text(value) or "").upper() or None


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "PN": _person_name,
    "IS": _integer,
    "DS": _decimal,
    "AT": _tag,
    "SV": _long,
    "UV": _long,
    **dict.fromkeys(KEEPS_LEADING_SPACE, _free_text),
    **dict.fromkeys(("FL", "FD", "SL", "SS", "UL", "US"), _number),
}
