"""A parsed DICOM data set as one instance's attributes, sorted into HealthImaging's levels (2.1 to 2.3)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement

from dicomweb_gateway.dicom.dictionary import (
    Attribute,
    attribute_of_keyword,
    attribute_of_tag,
    is_private,
    tag_text,
)
from dicomweb_gateway.dicom.normalization import Level, level_of
from dicomweb_gateway.emulator.ingest.element_vr import actual_vr, pixel_representation
from dicomweb_gateway.emulator.ingest.values import UnfitValue, as_unknown, json_value, kind_of, shaped
from dicomweb_gateway.errors import UnreadableDicom

SPECIFIC_CHARACTER_SET = 0x00080005
PIXEL_ELEMENTS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
_OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})


@dataclass(slots=True)
class Attributes:
    """The attributes of one instance by level, and the VRs that the dictionary does not tell."""

    patient: dict[str, Any] = field(default_factory=dict)
    study: dict[str, Any] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)
    instance: dict[str, Any] = field(default_factory=dict)
    vrs: dict[str, str] = field(default_factory=dict)

    def level(self, name: Level) -> dict[str, Any]:
        """The attributes of one level."""
        level: dict[str, Any] = getattr(self, name)
        return level

    def vr_of(self, key: str) -> str | None:
        """The VR in DICOMVRs, None when the dictionary tells it."""
        return self.vrs.get(key)


def attributes_of(dataset: Dataset, file_meta: Dataset | None, *, little_endian: bool) -> Attributes:
    """All attributes of a data set but its top-level pixels, offset tables and group lengths.

    DICOMVRs is one flat map for the whole instance (2.1), so one key has one VR. Where two items of an
    instance disagree in a way that shows in the JSON (text against bytes), every occurrence of the key is
    written as UN bytes; where they disagree in name only (US against SS), the first occurrence names the VR.
    """
    reader = _Reader(little_endian)
    attributes = reader.read(dataset, file_meta)
    if reader.clashing:
        reader = _Reader(little_endian, frozenset(reader.clashing))
        attributes = reader.read(dataset, file_meta)
    return attributes


def key_of(tag: int) -> tuple[str, Attribute | None]:
    """The JSON key of an element and its dictionary row; private, unknown and repeating ones have no row."""
    row = None if is_private(tag) else attribute_of_tag(tag)
    if row is None or attribute_of_keyword(row.keyword) != row:
        return tag_text(tag), None
    return row.keyword, row


class _Reader:
    """One walk over a data set; `as_un` are keys whose VR cannot be told by one entry."""

    def __init__(self, little_endian: bool, as_un: frozenset[str] = frozenset()) -> None:
        self.little_endian = little_endian
        self.as_un = as_un
        self.vrs: dict[str, str] = {}
        self.clashing: set[str] = set()
        self.kinds: dict[str, str] = {}

    def read(self, dataset: Dataset, file_meta: Dataset | None) -> Attributes:
        attributes = Attributes(vrs=self.vrs)
        if file_meta is not None:
            # File meta information is little endian whatever the data set is (PS3.10 7.1).
            own, self.little_endian = self.little_endian, True
            attributes.instance.update(self.items(file_meta, (), [default_encoding], None))
            self.little_endian = own
        skip = PIXEL_ELEMENTS.keys() | _OFFSET_TABLES
        encodings = encodings_of(dataset, [default_encoding])
        signed = pixel_representation(dataset, None)
        for tag in sorted(dataset.keys()):
            if tag not in skip and not _is_group_length(tag):
                key, value = self.element(dataset, tag, (), encodings, signed)
                attributes.level(level_of(tag))[key] = value
        return attributes

    def items(
        self, dataset: Dataset, ancestors: tuple[Dataset, ...], encodings: Sequence[str], signed: int | None
    ) -> dict[str, Any]:
        tags = (tag for tag in sorted(dataset.keys()) if not _is_group_length(tag))
        return dict(self.element(dataset, tag, ancestors, encodings, signed) for tag in tags)

    def element(
        self,
        dataset: Dataset,
        tag: int,
        ancestors: tuple[Dataset, ...],
        encodings: Sequence[str],
        signed: int | None,
    ) -> tuple[str, Any]:
        raw = dataset.get_item(tag, keep_deferred=True)
        key, row = key_of(tag)
        vr = actual_vr(raw, dataset, ancestors, signed)
        single = row is None or row.is_single
        if vr == "SQ":
            try:
                value = self.sequence(dataset, tag, (dataset, *ancestors), encodings, signed)
                self.note(key, row, vr)
                return key, value
            except (OSError, ValueError, struct.error, NotImplementedError) as error:
                if not isinstance(raw, RawDataElement):
                    raise UnreadableDicom(f"sequence {key} cannot be read: {error}") from error
                vr = "UN"
        if not isinstance(raw, RawDataElement):
            self.note(key, row, vr)
            return key, _converted(raw, single)
        data = raw.value or b""
        if key in self.as_un:
            data, vr = as_unknown(data, vr, self.little_endian), "UN"
        try:
            value = json_value(data, vr, little_endian=self.little_endian, encodings=encodings, single=single)
        except UnfitValue:
            vr = "UN"
            value = json_value(data, vr, little_endian=True, encodings=encodings, single=single)
        self.note(key, row, vr)
        return key, value

    def sequence(
        self,
        dataset: Dataset,
        tag: int,
        ancestors: tuple[Dataset, ...],
        encodings: Sequence[str],
        signed: int | None,
    ) -> list[dict[str, Any]] | None:
        items = dataset[tag].value or []
        return [
            self.items(item, ancestors, encodings_of(item, encodings), pixel_representation(item, signed))
            for item in items
        ] or None

    def note(self, key: str, row: Attribute | None, vr: str) -> None:
        known = self.kinds.setdefault(key, vr)
        if kind_of(known) != kind_of(vr):
            self.clashing.add(key)
        if row is None or row.vr != vr:
            self.vrs.setdefault(key, known)


def encodings_of(dataset: Dataset, inherited: Sequence[str]) -> Sequence[str]:
    """Python codecs for the text of a data set or item; an item without its own character set inherits."""
    if SPECIFIC_CHARACTER_SET not in dataset:
        return inherited
    value = dataset[SPECIFIC_CHARACTER_SET].value
    try:
        return convert_encodings(value) if value else [default_encoding]
    except (LookupError, ValueError):
        return [default_encoding]


def _is_group_length(tag: int) -> bool:
    """Whether the element is a retired group length, which says nothing about the object (PS3.5 7.2)."""
    return tag & 0xFFFF == 0 and tag >> 16 != 2


def _converted(element: DataElement, single: bool) -> Any:
    """The value of an element that pydicom has already converted while reading (UI, CS and their like)."""
    value = element.value
    values = [value] if isinstance(value, str | int | float | bytes) else list(value or ())
    texts = [v if isinstance(v, int | float) else str(v).rstrip(" \0") for v in values]
    return shaped([] if texts == [""] else texts, single)
