"""The DICOM JSON that the index holds of studies, series and instances."""

from dicomweb_gateway.dicom.json_model import JsonObject, dumps, element
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import integer, text

ATTRIBUTES_MAX = 262_144
"""Bytes of an instance's attributes above which single long elements are left out of the index."""

ELEMENT_MAX = 16_384
"""Bytes of one element that the index keeps of such an instance (per-frame functional groups are longer)."""

TIMEZONE = "TimezoneOffsetFromUTC"


def study_attributes(document: ImageSetDocument) -> JsonObject:
    """What the index holds of a study and its patient."""
    attributes = dicom_json({**document.patient, **document.study}, {})
    # where series differ in it none speaks for those that a rule may hide
    offsets = {_timezone(one) for one in document.series()}
    _add_timezone(attributes, offsets.pop() if len(offsets) == 1 else None)
    return attributes


def series_attributes(series: SeriesDocument) -> JsonObject:
    """What the index holds of a series."""
    first = next(series.instances(), None)
    signed = first is not None and integer(first.tags, "PixelRepresentation") == 1
    attributes = dicom_json(series.tags, {}, signed=signed)
    _add_timezone(attributes, _timezone(series))
    return attributes


def instance_attributes(instance: InstanceDocument) -> JsonObject:
    """What the index holds of an instance: no long elements where all of them are too long."""
    signed = integer(instance.tags, "PixelRepresentation") == 1
    attributes = dicom_json(instance.tags, instance.vrs, signed=signed)
    attributes.setdefault("00080018", element("UI", [instance.instance_uid]))
    if len(dumps(attributes)) <= ATTRIBUTES_MAX:
        return attributes
    return {key: value for key, value in attributes.items() if len(dumps(value)) <= ELEMENT_MAX}


def _timezone(series: SeriesDocument) -> str | None:
    """The first offset that an instance of a series names."""
    offsets = (text(one.tags, TIMEZONE) for one in series.instances())
    return next((found for found in offsets if found), None)


def _add_timezone(attributes: JsonObject, offset: str | None) -> None:
    """HealthImaging keeps the offset with the instances; answers want it above (dicomweb.md Q-44)."""
    if offset:
        attributes["00080201"] = element("SH", [offset])
