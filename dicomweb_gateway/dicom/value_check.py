"""Whether a text or number is a value of a VR (PS3.5 6.2), for values that people write."""

import re
from datetime import datetime

_LONGEST = {"AE": 16, "DS": 16, "IS": 12, "LO": 64, "LT": 10_240, "SH": 16, "ST": 1_024, "UC": 10_240}
_LONGEST |= {"UR": 2_048, "UT": 10_240}
_FORMS = {
    "AS": re.compile(r"[0-9]{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]{1,16}"),
    "DA": re.compile(r"[0-9]{8}"),
    "DT": re.compile(r"[0-9]{4,14}(\.[0-9]{1,6})?([+-][0-9]{4})?"),
    "TM": re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?"),
    "DS": re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *"),
    "IS": re.compile(r" *[+-]?[0-9]+ *"),
}
_RANGES = {
    "US": (0, 0xFFFF),
    "SS": (-0x8000, 0x7FFF),
    "UL": (0, 0xFFFFFFFF),
    "SL": (-0x80000000, 0x7FFFFFFF),
    "IS": (-0x80000000, 0x7FFFFFFF),
}
_FLOATS = ("FL", "FD", "DS")
_LINES = ("LT", "ST", "UT")
_GROUPS, _GROUP, _PARTS = 3, 64, 5
WRITABLE = frozenset((*_LONGEST, *_FORMS, *_RANGES, *_FLOATS, "PN"))
"""VRs that have one value which people can write; UIDs are not written."""


def value_flaw(vr: str, value: str | int | float) -> str | None:
    """What is wrong with `value` as the one value of an attribute of `vr` in WRITABLE; None for nothing.

    The empty text stands for an attribute without a value.
    """
    if not isinstance(value, str):
        return _number_flaw(vr, value)
    if (vr in _RANGES and vr != "IS") or vr in ("FL", "FD"):
        return "must be a number"
    if value == "":
        return None
    if any(
        (ord(sign) < 32 and not (vr in _LINES and sign in "\t\n\r")) or ord(sign) == 127 for sign in value
    ):
        return "must not hold control characters"
    if vr not in _LINES and "\\" in value:
        return "must be one value, without a backslash"
    if len(value) > _LONGEST.get(vr, len(value)):
        return f"may have {_LONGEST[vr]} characters"
    form = _FORMS.get(vr)
    if form is not None and not form.fullmatch(value):
        return f"is not written as {vr} values are"
    if vr == "DA" and not _is_day(value):
        return "is no day"
    if vr == "PN" and not _is_name(value):
        return "is not written as names are: Family^Given^Middle^Prefix^Suffix"
    return None


def _number_flaw(vr: str, value: int | float) -> str | None:
    if vr in _FLOATS:
        return None
    if vr not in _RANGES:
        return "must be a text"
    low, high = _RANGES[vr]
    if not isinstance(value, int):
        return "must be a whole number"
    return None if low <= value <= high else f"must be a number from {low} to {high}"


def _is_day(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        return False
    return True


def _is_name(value: str) -> bool:
    groups = value.split("=")
    return len(groups) <= _GROUPS and all(
        len(group) <= _GROUP and group.count("^") < _PARTS for group in groups
    )
