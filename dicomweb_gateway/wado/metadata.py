"""Instance metadata in the DICOM JSON model, instance by instance (dicomweb.md 4.3)."""

from collections.abc import Iterable, Iterator

from dicomweb_gateway.dicom.json_model import JsonObject, dumps, element, label_utf8
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.imagesets.shared_json import Own, SharedJson
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive, document_of

_PIXEL_TAGS = {"PixelData": "7FE00010", "FloatPixelData": "7FE00008", "DoubleFloatPixelData": "7FE00009"}
_PIXEL_VRS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


def metadata_objects(
    archive: Archive, records: Iterable[InstanceRecord], base_url: str
) -> Iterator[JsonObject]:
    """One DICOM JSON object per record, in their order, each made when it is taken.

    `base_url` is the absolute URL of the DICOMweb base path without a trailing slash (J-29).
    """
    shared = SharedJson()
    for record in records:
        yield instance_json(document_of(archive, record), record, base_url, shared)


def json_array(objects: Iterable[JsonObject]) -> Iterator[bytes]:
    """A JSON array, one object a piece (J-1)."""
    separator = b"["
    for one in objects:
        yield separator + dumps(one)
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def instance_json(
    document: InstanceDocument, record: InstanceRecord, base_url: str, shared: SharedJson
) -> JsonObject:
    """One instance as DICOM JSON, keys ascending: all four levels, pixel data and bulk data by URI."""
    pixels = record.pixels
    bulk_base = (
        f"{base_url}/studies/{record.study_uid}/series/{record.series_uid}"
        f"/instances/{record.instance_uid}/bulkdata/"
    )
    own: JsonObject = {"00083002": element("UI", [record.transfer_syntax_uid])}
    if record.frames:
        keyword = pixels.keyword if pixels else "PixelData"
        wide = pixels is None or pixels.bits_allocated != 8
        vr = _PIXEL_VRS.get(keyword, "OW" if wide else "OB")
        tag = _PIXEL_TAGS[keyword]
        own[tag] = {"vr": vr, "BulkDataURI": bulk_base + tag}
    *above, tags = document.levels
    signed = bool(pixels and pixels.pixel_representation)
    made = shared.make(tuple(above), tags, document.vrs, signed, Own(own, bulk_base.__add__))
    return label_utf8(made)
