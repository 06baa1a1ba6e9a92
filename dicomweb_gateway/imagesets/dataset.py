"""HealthImaging's attributes as a pydicom Dataset, values kept exactly as they were written."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from dicomweb_gateway.dicom.json_model import BINARY_VRS, KEEPS_LEADING_SPACE
from dicomweb_gateway.errors import CorruptMetadata
from dicomweb_gateway.imagesets.elements import CHARACTER_SET, Element, read_elements, tag_of
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.imagesets.values import PADDING, Tags, base64_bytes, whole_number

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_FUNCTIONAL_GROUPS = {_SHARED, _PER_FRAME}
_MOST_KEYS = 20_000

_LARGEST_SHORT_VALUE = 0xFFFE
"""Bytes; a longer value of a VR with a 16-bit length field is written as UN (PS3.5 6.2.2)."""


def instance_dataset(instance: InstanceDocument) -> Dataset:
    """All four levels of `instance` merged, without group 0002 and without top-level pixel data.

    DS and IS keep the text that HealthImaging gives, so that nothing is rounded; text is labelled
    ISO_IR 192 (J-28).
    """
    merged: dict[str, Any] = {}
    for level in instance.levels:
        merged.update(level)
    pixels = instance.pixels
    dataset = dataset_of(merged, instance.vrs, bool(pixels and pixels.pixel_representation))
    if "SpecificCharacterSet" not in dataset and _has_non_ascii_text(dataset):
        dataset.add(DataElement(CHARACTER_SET, "CS", "ISO_IR 192", already_converted=True))
    return dataset


def frame_dataset(instance: InstanceDocument, frame_index: int, wanted: frozenset[int]) -> Dataset:
    """Of `instance_dataset` only the attributes with `wanted` tags, for frame `frame_index` (0-based).

    PerFrameFunctionalGroupsSequence holds the frame's own item alone, so the frame is number 0 there; of
    functional groups, too, only `wanted` ones are kept. Costs the same however many frames there are.
    """
    pixels = instance.pixels
    signed = bool(pixels and pixels.pixel_representation)
    return dataset_of(frame_values(instance, frame_index, wanted), instance.vrs, signed)


def frame_values(instance: InstanceDocument, frame_index: int, wanted: frozenset[int]) -> dict[str, Any]:
    """What `frame_dataset` holds, as it stands in the document."""
    kept: dict[str, Any] = {}
    known = _keys(wanted)
    for level in instance.levels:
        for key in [key for key in level if known[key] is not None]:
            tag, value = known[key], level[key]
            if tag in wanted:
                kept[key] = value
            else:
                items = value if isinstance(value, list) else [value]
                first = frame_index if tag == _PER_FRAME else 0
                kept[key] = [_only(item, wanted) for item in items[first : first + 1]]
    return kept


class _Keys(dict[str, int | None]):
    """Metadata keys that were met, to their tag when it is wanted or a functional group's, else None."""

    def __init__(self, wanted: frozenset[int]) -> None:
        super().__init__()
        self._wanted = wanted | _FUNCTIONAL_GROUPS

    def __missing__(self, key: str) -> int | None:
        tag = tag_of(key)
        found = tag if tag in self._wanted else None
        if len(self) < _MOST_KEYS:
            self[key] = found
        return found


@cache
def _keys(wanted: frozenset[int]) -> _Keys:
    return _Keys(wanted)


def _only(item: Any, wanted: frozenset[int]) -> Any:
    return {k: v for k, v in item.items() if tag_of(k) in wanted} if isinstance(item, Mapping) else item


def dataset_of(tags: Tags, vrs: Mapping[str, str], signed: bool, nested: bool = False) -> Dataset:
    """One level or item as a Dataset; see `read_elements` for what is left out.

    A member of a binary number that is no number, or does not fit its VR, is left out. Raises
    CorruptMetadata for a binary value that is not base64.
    """
    dataset = Dataset()
    for found in read_elements(tags, vrs, signed, nested):
        dataset._dict[BaseTag(found.tag)] = _data_element(found, vrs, signed)
    return dataset


def _data_element(found: Element, vrs: Mapping[str, str], signed: bool) -> DataElement:
    vr, values = found.vr, found.values
    if vr == "SQ":
        items = [dataset_of(item, vrs, signed, nested=True) for item in values if isinstance(item, Mapping)]
        return DataElement(found.tag, "SQ", Sequence(items), already_converted=True)
    value: Any = _binary(values) if isinstance(values, str) else _single(_converted(vr, values))
    if vr in _SHORT_TEXT and _is_too_long(value):
        vr, value = "UN", _as_bytes(value)
    made = DataElement(found.tag, vr, value, already_converted=True, validation_mode=config.IGNORE)
    # pydicom gives UN of an attribute that its dictionary knows the VR of that, whatever the value is
    made.VR = vr
    return made


def _binary(text: str) -> bytes:
    """The bytes of base64 `text`, padded to even length: pydicom does that for OB only (PS3.5 7.1.1)."""
    data = base64_bytes(text)
    if data is None:
        raise CorruptMetadata("HealthImaging sent a binary value that is not base64")
    return data + b"\0" * (len(data) % 2)


def _converted(vr: str, values: list[Any]) -> list[Any]:
    converter: Callable[[Any], Any] = _CONVERTERS.get(vr, _text)
    return [made for value in values if (made := converter(value)) is not None]


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else (values or None)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip(PADDING)


def _plain_text(value: Any) -> str:
    """Text of a VR without character set: each UTF-8 byte as the Latin-1 character that pydicom writes so.

    Real files hold such text (J-28).
    """
    text = _text(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def _free_text(value: Any) -> str:
    return "" if value is None else str(value).rstrip(PADDING)


def _person_name(value: Any) -> PersonName:
    return PersonName(_text(value))


def _real(value: Any) -> float | None:
    try:
        return float(value.strip(PADDING) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None


def _whole(bits: int, signed: bool, value: Any) -> int | None:
    """`value` as an integer that fits `bits` bits, else None."""
    number = whole_number(value)
    if number is None:
        return None
    lowest = -(1 << bits - 1) if signed else 0
    return number if lowest <= number < lowest + (1 << bits) else None


def _tag_number(value: Any) -> int | None:
    try:
        number = value if isinstance(value, int) else int(str(value).strip(PADDING), 16)
    except ValueError:
        return None
    return number if 0 <= number <= 0xFFFFFFFF else None


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "AT": _tag_number,
    "PN": _person_name,
    "FL": _real,
    "FD": _real,
    "SS": partial(_whole, 16, True),
    "US": partial(_whole, 16, False),
    "SL": partial(_whole, 32, True),
    "UL": partial(_whole, 32, False),
    "SV": partial(_whole, 64, True),
    "UV": partial(_whole, 64, False),
    **dict.fromkeys(KEEPS_LEADING_SPACE, _free_text),
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"), _plain_text),
}
_SHORT_TEXT = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"})


def _is_too_long(value: Any) -> bool:
    """Whether the text does not fit a 16-bit length."""
    if type(value) is str and len(value) < _LARGEST_SHORT_VALUE // 4:
        return False
    values = value if isinstance(value, list) else [value]
    length = sum(len(str(v).encode()) + 1 for v in values if isinstance(v, str | PersonName))
    return length > _LARGEST_SHORT_VALUE


def _as_bytes(value: Any) -> bytes:
    data = "\\".join(map(str, value if isinstance(value, list) else [value])).encode()
    return data + b" " * (len(data) % 2)


def _has_non_ascii_text(dataset: Dataset) -> bool:
    return any(_is_non_ascii(found) for found in dataset.values())


def _is_non_ascii(found: Any) -> bool:
    if found.VR == "SQ":
        return any(_has_non_ascii_text(item) for item in found.value)
    if found.VR in BINARY_VRS:
        return False
    values = found.value if isinstance(found.value, list) else [found.value]
    return any(isinstance(v, str | PersonName) and not str(v).isascii() for v in values)
