"""One image set metadata document as column values; nothing here touches the database."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import astuple
from datetime import tzinfo
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Date, Integer, String, Table, Time

from dicomweb_gateway.dicom.json_model import JsonObject, dumps, element
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import Tags, first_value, integer, text
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.qido.names import fold_name, name_words
from dicomweb_gateway.qido.sounds import sound_of
from dicomweb_gateway.qido.temporal import stored_date, stored_moment, stored_time
from dicomweb_gateway.qido.texts import searchable
from dicomweb_gateway.sight import SERIES_TRAITS

Row = dict[str, Any]
Reader = Callable[[Tags, str], Any]

PATIENT_KEYWORDS = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientComments")
STUDY_KEYWORDS = (
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "ReferringPhysicianName",
)
SERIES_KEYWORDS = (
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "InstitutionName",
    "BodyPartExamined",
    "StationName",
    "Manufacturer",
    "ManufacturerModelName",
    "ProtocolName",
    "Laterality",
    "SeriesDate",
    "SeriesTime",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
)
INSTANCE_KEYWORDS = (
    "ImageType",
    "InstanceNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
    "ContentDescription",
)
NAME_KEYWORDS = ("PatientName", "ReferringPhysicianName")
"""Person names that can be searched; all stand at patient or study level."""

ATTRIBUTES_MAX = 262_144
"""Bytes of an instance's attributes above which single long elements are left out of the index."""

ELEMENT_MAX = 16_384
"""Bytes of one element that the index keeps of such an instance (per-frame functional groups are longer)."""

_INT32 = 2**31 - 1
_TIMEZONE = "TimezoneOffsetFromUTC"


def variant_key(document: ImageSetDocument, *, apart: bool = False) -> str:
    """What tells variants of one Study Instance UID apart (64 hex digits).

    The data store, and all that is said of patient and study: who may see one image set is told nothing
    that only another one says. `apart`: also what is said of its series by which rules judge them.
    """
    told = dumps(study_attributes(document)).decode()
    if apart:
        series = {one.series_uid: trait_columns(one) for one in document.series()}
        told += dumps(dict(sorted(series.items()))).decode()
    return hashlib.sha256(f"{document.datastore_id}\0{told}".encode()).hexdigest()


def trait_columns(series: SeriesDocument) -> Row:
    """What rules can ask of a series itself, as its columns hold it."""
    return columns(side.gateway_series, SERIES_TRAITS, series.tags)


def study_row(document: ImageSetDocument) -> Row:
    """Values of `gateway_study` that come from the document."""
    keywords = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", *STUDY_KEYWORDS)
    return {
        **columns(side.gateway_study, keywords, {**document.patient, **document.study}),
        "attributes": dumps(study_attributes(document)).decode(),
    }


def study_attributes(document: ImageSetDocument) -> JsonObject:
    """What the index holds of a study and its patient."""
    attributes = dicom_json({**document.patient, **document.study}, {})
    # where series differ in it none speaks for those that a rule may hide
    offsets = {_timezone(one) for one in document.series()}
    _add_timezone(attributes, offsets.pop() if len(offsets) == 1 else None)
    return attributes


def name_rows(document: ImageSetDocument) -> list[Row]:
    """Rows of `gateway_person_name`, without their owner."""
    tags = {**document.patient, **document.study}
    return [
        {"keyword": keyword, "groupnumber": number, "folded": folded[: side.NAME_LENGTH]}
        for keyword in NAME_KEYWORDS
        for number, folded in enumerate(fold_name(text(tags, keyword) or ""), 1)
        if folded
    ]


def word_rows(document: ImageSetDocument) -> list[Row]:
    """Rows of `gateway_name_word`, the words' sounds among them, without their owner."""
    tags = {**document.patient, **document.study}
    rows: list[Row] = []
    for keyword in NAME_KEYWORDS:
        words = dict.fromkeys(one[: side.WORD_LENGTH] for one in name_words(text(tags, keyword) or ""))
        sounds = dict.fromkeys(map(sound_of, words))
        rows += ({"keyword": keyword, "word": word} for word in words)
        rows += ({"keyword": f"{keyword}{side.SOUND}", "word": sound} for sound in sounds if sound)
    return rows


def series_row(series: SeriesDocument) -> Row:
    """Values of `gateway_series` that come from the document."""
    values = columns(side.gateway_series, SERIES_KEYWORDS, series.tags)
    return {
        **values,
        "series_order": _order(values["seriesnumber"]),
        "attributes": dumps(series_attributes(series)).decode(),
    }


def series_attributes(series: SeriesDocument) -> JsonObject:
    """What the index holds of a series."""
    first = next(series.instances(), None)
    signed = first is not None and integer(first.tags, "PixelRepresentation") == 1
    attributes = dicom_json(series.tags, {}, signed=signed)
    _add_timezone(attributes, _timezone(series))
    return attributes


def request_rows(series: SeriesDocument) -> list[Row]:
    """Rows of `gateway_request`, without their owner; `item` is 1-based."""
    items = series.tags.get("RequestAttributesSequence")
    items = items if isinstance(items, list) else [items]
    keywords = ("ScheduledProcedureStepID", "RequestedProcedureID")
    return [
        {"item": number, **columns(side.gateway_request, keywords, item)}
        for number, item in enumerate(items, 1)
        if isinstance(item, Mapping)
    ]


def instance_row(instance: InstanceDocument, zone: tzinfo) -> Row:
    """Values of `gateway_instance` that come from the document; `zone` is that of moments without one."""
    tags, pixels = instance.tags, _storable(instance.pixels)
    values = columns(
        side.gateway_instance, ("InstanceNumber", "ContentDate", "NumberOfFrames", "Rows", "Columns"), tags
    )
    bits = pixels.bits_allocated if pixels else min(integer(tags, "BitsAllocated") or 8, _INT32)
    if pixels is not None:
        # the layout may stand at another level than the instance's own
        values |= {"rows": pixels.rows, "columns": pixels.columns}
    return {
        **values,
        "instance_uid": instance.instance_uid,
        "sop_class_uid": (text(tags, "SOPClassUID") or "")[:64],
        "instance_order": _order(values["instancenumber"]),
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "pixel_keyword": pixels and pixels.keyword,
        "samples_per_pixel": pixels and pixels.samples_per_pixel,
        "bits_allocated": pixels and pixels.bits_allocated,
        "bits_stored": pixels and pixels.bits_stored,
        "high_bit": pixels and pixels.high_bit,
        "pixel_representation": pixels and pixels.pixel_representation,
        "photometric_interpretation": pixels and pixels.photometric_interpretation[:32],
        "planar_configuration": pixels and pixels.planar_configuration,
        "bytes_per_sample": max(1, bits // 8),
        "attributes": dumps(instance_attributes(instance)).decode(),
        "acquisitiondatetime": stored_moment(text(tags, "AcquisitionDateTime"), text(tags, _TIMEZONE), zone),
    }


def instance_attributes(instance: InstanceDocument) -> JsonObject:
    """What the index holds of an instance: no long elements where all of them are too long."""
    signed = integer(instance.tags, "PixelRepresentation") == 1
    attributes = dicom_json(instance.tags, instance.vrs, signed=signed)
    attributes.setdefault("00080018", element("UI", [instance.instance_uid]))
    if len(dumps(attributes)) <= ATTRIBUTES_MAX:
        return attributes
    return {key: value for key, value in attributes.items() if len(dumps(value)) <= ELEMENT_MAX}


def frame_rows(instance: InstanceDocument) -> list[Row]:
    """Rows of `gateway_frame`, without their owner; `framenumber` is 1-based."""
    return [
        {"framenumber": number, "frameid": frame.frame_id, "checksum": frame.checksum}
        for number, frame in enumerate(instance.frames, 1)
    ]


def aws_instance_row(instance: InstanceDocument) -> Row:
    """Values of the AWS `instance` table that come from the document."""
    return {
        **columns(aws.instance, INSTANCE_KEYWORDS, instance.tags),
        "sopinstanceuid": instance.instance_uid,
        "sopclassuid": (text(instance.tags, "SOPClassUID") or "")[:64],
    }


def columns(table: Table, keywords: tuple[str, ...], tags: Tags) -> Row:
    """The columns of `table` that hold one of `keywords`, each in the column's type; None when unusable."""
    return {name: read(tags, keyword) for name, keyword, read in _readers(table.name, keywords)}


@cache
def _readers(table_name: str, keywords: tuple[str, ...]) -> list[tuple[str, str, Reader]]:
    table = aws.metadata.tables[table_name]
    return [
        (keyword.lower(), keyword, _reader(table.c[keyword.lower()].type, table_name.startswith("gateway_")))
        for keyword in keywords
        if keyword.lower() in table.c
    ]


def _reader(kind: Any, for_matching: bool) -> Reader:
    if isinstance(kind, String):
        return _clipped(kind.length, searchable if for_matching else str)
    if isinstance(kind, Date):
        return lambda tags, key: stored_date(_first_text(tags, key))
    if isinstance(kind, Time):
        return lambda tags, key: stored_time(_first_text(tags, key))
    if isinstance(kind, BigInteger):
        return _bounded(2**53)
    if isinstance(kind, Integer):
        return _bounded(_INT32)
    raise TypeError(f"no reader for columns of type {kind!r}")


def _clipped(length: int | None, form: Callable[[str], str]) -> Reader:
    def read(tags: Tags, key: str) -> str | None:
        return form(text(tags, key) or "")[:length] or None

    return read


def _bounded(limit: int) -> Reader:
    def read(tags: Tags, key: str) -> int | None:
        value = integer(tags, key)
        return value if value is not None and abs(value) <= limit else None

    return read


def _first_text(tags: Tags, key: str) -> str | None:
    value = first_value(tags, key)
    return None if value is None else str(value)


def _storable(pixels: PixelDescription | None) -> PixelDescription | None:
    """`pixels`, None when a number in it is larger than any image has."""
    if pixels is None:
        return None
    numbers = (value for value in astuple(pixels) if isinstance(value, int))
    return pixels if all(abs(number) <= _INT32 for number in numbers) else None


def _order(number: int | None) -> int:
    return side.MISSING_LAST if number is None else number


def _timezone(series: SeriesDocument) -> str | None:
    """The first offset that an instance of a series names."""
    offsets = (text(one.tags, _TIMEZONE) for one in series.instances())
    return next((found for found in offsets if found), None)


def _add_timezone(attributes: JsonObject, offset: str | None) -> None:
    """HealthImaging keeps the offset with the instances; answers want it above (dicomweb.md Q-44)."""
    if offset:
        attributes["00080201"] = element("SH", [offset])
