"""The DICOM data dictionary as one cached table: keyword or tag to VR and multiplicity (PS3.6).

Tags are plain ints (0x00100010) inside the gateway and 8 upper-case hex digits at its borders.
"""

import re
from functools import cache
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

_TAG = re.compile(r"[0-9A-Fa-f]{8}")


class Attribute(NamedTuple):
    """One row of PS3.6; `vr` may be a choice such as "US or SS", `vm` is "1", "1-n", "2" ..."""

    tag: int
    keyword: str
    vr: str
    vm: str

    @property
    def is_single(self) -> bool:
        """Whether the dictionary fixes the value multiplicity at 1."""
        return self.vm == "1"


@cache
def _by_keyword() -> dict[str, Attribute]:
    rows = (Attribute(tag, row[4], row[0], row[1]) for tag, row in DicomDictionary.items())
    return {row.keyword: row for row in rows if row.keyword}


@cache
def attribute_of_keyword(keyword: str) -> Attribute | None:
    """The dictionary row of `keyword` (case-sensitive), None when there is none.

    Keywords of repeating groups (60xx, 50xx) name no single tag and are not found; such elements are
    keyed by tag wherever we meet them.
    """
    return _by_keyword().get(keyword)


@cache
def attribute_of_tag(tag: int) -> Attribute | None:
    """The dictionary row of `tag`, with repeating groups (50xx, 60xx) resolved; None when unknown.

    Only even groups repeat (PS3.5 7.6): (6001,0010) is a private creator, not OverlayRows.
    """
    row = DicomDictionary.get(tag)
    if row is None and not is_private(tag):
        text = f"{tag:08X}"
        for mask, repeated in RepeatersDictionary.items():
            if all(m in ("x", c) for m, c in zip(mask.upper().replace("X", "x"), text, strict=True)):
                row = repeated
                break
    return None if row is None else Attribute(tag, row[4], row[0], row[1])


def parse_tag(text: str) -> int | None:
    """The tag that 8 hex digits of any case spell, else None."""
    return int(text, 16) if _TAG.fullmatch(text) else None


def tag_of_key(key: str) -> int | None:
    """The tag of a keyword or of 8 hex digits (dicomweb.md Q-1; healthimaging.md 2.3), None when neither."""
    row = attribute_of_keyword(key)
    return row.tag if row is not None else parse_tag(key)


def tag_text(tag: int) -> str:
    """`tag` as 8 upper-case hex digits (PS3.18 F.2.2)."""
    return f"{tag:08X}"


def is_private(tag: int) -> bool:
    """Whether the group number is odd (PS3.5 7.8)."""
    return bool((tag >> 16) & 1)


def dictionary_rows() -> dict[str, tuple[str, str, str]]:
    """Every attribute that has a keyword, by its tag in 8 hex digits: keyword, name and VR."""
    return {
        tag_text(tag): (row[4], row[2] or row[4], row[0])
        for tag, row in sorted(DicomDictionary.items())
        if row[4]
    }
