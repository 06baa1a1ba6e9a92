"""HealthImaging's keyword-to-value maps as DICOM elements and DICOM JSON (healthimaging.md 2.3)."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.valuerep import VR

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, attribute_of_tag, is_private, parse_tag
from dicomweb_gateway.dicom.json_model import BINARY_VRS, UTF8, JsonElement, JsonObject, element
from dicomweb_gateway.imagesets.values import Tags, base64_bytes

BulkUri = Callable[[str], str]
"""Makes the absolute BulkDataURI of a path such as "00091001" or "00400275/1/00091001" (items 1-based)."""

INLINE_BINARY_MAX = 4096
"""Bytes of a binary value that stay inline (J-25)."""

CHARACTER_SET = 0x00080005
PIXEL_ELEMENTS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ABOUT_PIXELS = PIXEL_ELEMENTS | {0x7FE00001, 0x7FE00002, 0x7FE00003}
"""With the offset tables of the file that was imported, which say nothing of the frames as they are kept."""
_NOT_OF_DATA_SETS = frozenset({0x0000, 0x0002, 0x0006, 0xFFFE})
"""Groups of commands, file meta information and delimiters (PS3.10 7.1, PS3.5 7.5)."""
_VRS = frozenset({vr.value for vr in VR if len(vr.value) == 2})
_MAY_HOLD_ITEMS = ("SQ", "UN")
"""What items may be the value of; of any other attribute they are nonsense, and it has no value then."""
SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
WAVEFORM_DATA = 0x54001010


class Element(NamedTuple):
    """One attribute with a real two-letter VR.

    `values`: text as DICOM writes it, numbers, or item maps (SQ); empty when the attribute has no value.
    For binary VRs it is the base64 text itself, "" when empty.
    """

    tag: int
    vr: str
    values: list[Any] | str


def read_elements(
    tags: Tags, vrs: Mapping[str, str], signed: bool = False, nested: bool = False
) -> list[Element]:
    """The attributes of one level, or of an item when `nested`, in ascending tag order.

    Group 0002, group lengths and, outside items, pixel elements and their offset tables are left out (J-2,
    J-5).
    SpecificCharacterSet says ISO_IR 192, because HealthImaging's text is Unicode already (J-28). `signed`
    is PixelRepresentation 1 and decides "US or SS". Keys that are neither keyword nor tag are dropped.
    """
    return sorted(_elements(tags, vrs, signed, nested), key=_by_tag)


def dicom_json(
    tags: Tags,
    vrs: Mapping[str, str],
    bulk_uri: BulkUri | None = None,
    signed: bool = False,
    inline_max: int = INLINE_BINARY_MAX,
    path: str = "",
) -> JsonObject:
    """One level or item as DICOM JSON, keys ascending.

    Binary values up to `inline_max` bytes are inline, larger ones become a BulkDataURI; without
    `bulk_uri` all non-empty binary values are left out (the index keeps no bulk data).
    """
    result: JsonObject = {}
    for found in read_elements(tags, vrs, signed, nested=bool(path)):
        made = element_json(found, vrs, bulk_uri, signed, inline_max, path)
        if made is not None:
            result[f"{found.tag:08X}"] = made
    return result


def element_json(
    found: Element,
    vrs: Mapping[str, str],
    bulk_uri: BulkUri | None = None,
    signed: bool = False,
    inline_max: int = INLINE_BINARY_MAX,
    path: str = "",
) -> JsonElement | None:
    """One element as `dicom_json` has it; None when it is left out."""
    tag, vr, values = found
    key = f"{tag:08X}"
    if isinstance(values, str):
        return _binary_json(vr, values, path + key, bulk_uri, inline_max)
    if vr != "SQ":
        return element(vr, values)
    items = [
        dicom_json(item, vrs, bulk_uri, signed, inline_max, f"{path}{key}/{number}/")
        for number, item in enumerate(values, 1)
    ]
    return element("SQ", items)


def plain_vr(key: str, vrs: Mapping[str, str]) -> tuple[int, str] | None:
    """(tag, VR) of an attribute outside items whose VR no value changes, where `key` names one.

    None for pixels, for the character set, and for all that can hold items or bytes: `read_element` sees to
    those.
    """
    told = _told(key, vrs)
    if told is None:
        return None
    tag, vr = told
    is_plain = len(vr) == 2 and vr not in _MAY_HOLD_ITEMS and vr not in BINARY_VRS
    return (tag, vr) if is_plain and tag not in _ABOUT_PIXELS and tag != CHARACTER_SET else None


def sequence_tag(key: str, vrs: Mapping[str, str]) -> int | None:
    """The tag of a sequence, where `key` names one; None for anything that is or may be something else."""
    told = _told(key, vrs)
    if told is None:
        return None
    tag, vr = told
    return tag if vr == "SQ" and tag not in _ABOUT_PIXELS else None


def _told(key: str, vrs: Mapping[str, str]) -> tuple[int, str] | None:
    """(tag, VR) that `key` names, the VR as the document tells it where it does; None for no attribute."""
    row = _resolve(key)
    if row is None:
        return None
    tag, vr, name = row
    told = (vrs.get(key) or vrs.get(name)) if vrs else None
    return (tag, told) if isinstance(told, str) and told in _VRS else (tag, vr)


def find_element(tags: Tags, vrs: Mapping[str, str], path: list[tuple[int, int]], tag: int) -> Element | None:
    """The element `tag` below `path`, a list of (sequence tag, 1-based item number); None when absent."""
    for sequence, item_number in path:
        found = find_element(tags, vrs, [], sequence)
        if found is None or found.vr != "SQ" or not 1 <= item_number <= len(found.values):
            return None
        item: Any = found.values[item_number - 1]
        tags = item
    return next((e for e in _elements(tags, vrs, False, nested=True) if e.tag == tag), None)


def tag_of(key: str) -> int | None:
    """The tag of a metadata key; None when it is never to be shown."""
    row = _resolve(key)
    return None if row is None else row[0]


def shown_tag(key: str) -> int | None:
    """`tag_of` outside items, where pixels are not shown as attributes either."""
    tag = tag_of(key)
    return None if tag in _ABOUT_PIXELS else tag


def base64_length(text: str) -> int:
    """Bytes that the base64 `text` decodes to."""
    return len(text) * 3 // 4 - text.count("=", max(0, len(text) - 2))


def _by_tag(found: Element) -> int:
    return found.tag


def _elements(tags: Tags, vrs: Mapping[str, str], signed: bool, nested: bool) -> Iterator[Element]:
    for key in tags:
        found = read_element(key, tags, vrs, signed, nested)
        if found is not None:
            yield found


def read_element(
    key: str, tags: Tags, vrs: Mapping[str, str], signed: bool = False, nested: bool = False
) -> Element | None:
    """The attribute that `key` names in a level or item; None when it is left out, see `read_elements`."""
    row = _resolve(key)
    if row is None:
        return None
    tag, vr, name = row
    if tag in _ABOUT_PIXELS and not nested:
        return None
    value = tags[key]
    told = (vrs.get(key) or vrs.get(name)) if vrs else None
    if isinstance(told, str) and told in _VRS:
        vr = told
    elif vr == "UN":
        value = _of_unknown_vr(value)
    if len(vr) != 2:
        vr = _settle(tag, vr, value, tags, signed)
    if vr in _MAY_HOLD_ITEMS and _holds_items(value):
        vr = "SQ"
    return Element(tag, vr, _values(tag, vr, value))


@lru_cache(maxsize=20_000)
def _resolve(key: str) -> tuple[int, str, str] | None:
    """(tag, VR by the dictionary, tag as text) of a metadata key; None when it is never to be shown."""
    row = attribute_of_keyword(key)
    tag = row.tag if row is not None else parse_tag(key)
    if tag is None or tag >> 16 in _NOT_OF_DATA_SETS or tag & 0xFFFF == 0:
        return None
    row = row or attribute_of_tag(tag)
    return tag, _dictionary_vr(tag) if row is None else row.vr, f"{tag:08X}"


def _dictionary_vr(tag: int) -> str:
    """LO for a private creator (PS3.5 7.8.1), UN for anything that nobody knows."""
    return "LO" if is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"


def _of_unknown_vr(value: Any) -> Any:
    """The value of an attribute whose VR nobody tells: base64 as it is, of anything else the text's bytes."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, Mapping) for one in values) or value in (None, "", []):
        return value
    if isinstance(value, str) and base64_bytes(value) is not None:
        return value
    return b64encode("\\".join("" if one is None else str(one) for one in values).encode()).decode()


def _settle(tag: int, choice: str, value: Any, tags: Tags, signed: bool) -> str:
    """One VR out of a dictionary choice such as "US or SS" (PS3.6; J-26)."""
    options = choice.split(" or ")
    if isinstance(value, str) and not _is_number(value) and "OW" in options:
        if tag == WAVEFORM_DATA:
            return "OB" if tags.get("WaveformBitsAllocated") == 8 else "OW"
        return "OW"
    if "US" not in options:
        return options[-1] if len(options[-1]) == 2 else "UN"
    numbers = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int | float)]
    if "SS" not in options or any(n > 32767 for n in numbers):
        return "US"
    return "SS" if signed or any(n < 0 for n in numbers) else "US"


def _holds_items(value: Any) -> bool:
    return isinstance(value[0] if isinstance(value, list) and value else value, Mapping)


def _is_number(value: str) -> bool:
    return value.strip().lstrip("+-").isdigit()


def _values(tag: int, vr: str, value: Any) -> list[Any] | str:
    if vr in BINARY_VRS:
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        return single if isinstance(single, str) else ""
    if tag == CHARACTER_SET:
        return [UTF8]
    if vr == "SQ":
        items = value if isinstance(value, list) else [value]
        return [item for item in items if isinstance(item, Mapping)]
    if _holds_items(value):
        return []
    if isinstance(value, list):
        return value
    if value is None:
        return []
    if isinstance(value, str) and "\\" in value and vr not in SINGLE_TEXT:
        return value.split("\\")
    return [value]


def _binary_json(
    vr: str, base64_text: str, path: str, bulk_uri: BulkUri | None, inline_max: int
) -> JsonElement | None:
    if not base64_text:
        return {"vr": vr}
    if bulk_uri is None:
        return None
    if base64_length(base64_text) <= inline_max:
        data = base64_bytes(base64_text)
        # what is no base64 is shown as HealthImaging sent it; whole instances refuse it
        return {"vr": vr, "InlineBinary": base64_text if data is None else b64encode(data).decode()}
    return {"vr": vr, "BulkDataURI": bulk_uri(path)}
