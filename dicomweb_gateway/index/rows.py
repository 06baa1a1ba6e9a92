"""One image set metadata document as column values; nothing here touches the database."""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple
from datetime import tzinfo
from typing import Any

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import integer, text
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.column_values import INT32, columns
from dicomweb_gateway.index.held_attributes import (
    TIMEZONE,
    instance_attributes,
    series_attributes,
    study_attributes,
)
from dicomweb_gateway.qido.names import fold_name, name_words
from dicomweb_gateway.qido.sounds import sound_of
from dicomweb_gateway.qido.temporal import stored_moment
from dicomweb_gateway.sight import SERIES_TRAITS

Row = dict[str, Any]

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
    bits = pixels.bits_allocated if pixels else min(integer(tags, "BitsAllocated") or 8, INT32)
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
        "acquisitiondatetime": stored_moment(text(tags, "AcquisitionDateTime"), text(tags, TIMEZONE), zone),
    }


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


def _storable(pixels: PixelDescription | None) -> PixelDescription | None:
    """`pixels`, None when a number in it is larger than any image has."""
    if pixels is None:
        return None
    numbers = (value for value in astuple(pixels) if isinstance(value, int))
    return pixels if all(abs(number) <= INT32 for number in numbers) else None


def _order(number: int | None) -> int:
    return side.MISSING_LAST if number is None else number
