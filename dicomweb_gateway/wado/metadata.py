"""Instance metadata in the DICOM JSON model, instance by instance (dicomweb.md 4.3)."""

from collections.abc import Iterable, Iterator

from dicomweb_gateway.dicom.json_model import JsonObject, dumps, element, label_utf8
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import InstanceDocument
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
    for record in records:
        yield instance_json(document_of(archive, record), record, base_url)


def json_array(objects: Iterable[JsonObject]) -> Iterator[bytes]:
    """A JSON array, one object a piece (J-1)."""
    separator = b"["
    for one in objects:
        yield separator + dumps(one)
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def instance_json(document: InstanceDocument, record: InstanceRecord, base_url: str) -> JsonObject:
    """One instance as DICOM JSON, keys ascending: all four levels, pixel data and bulk data by URI."""
    pixels = document.pixels
    signed = bool(pixels and pixels.pixel_representation)
    merged = {key: value for level in document.levels for key, value in level.items()}
    bulk_base = (
        f"{base_url}/studies/{record.study_uid}/series/{record.series_uid}"
        f"/instances/{record.instance_uid}/bulkdata/"
    )
    result = dicom_json(merged, document.vrs, bulk_base.__add__, signed)
    result["00083002"] = element("UI", [record.transfer_syntax_uid])
    if document.frames:
        keyword = pixels.keyword if pixels else "PixelData"
        wide = pixels is None or pixels.bits_allocated != 8
        vr = _PIXEL_VRS.get(keyword, "OW" if wide else "OB")
        tag = _PIXEL_TAGS[keyword]
        result[tag] = {"vr": vr, "BulkDataURI": bulk_base + tag}
    return label_utf8(dict(sorted(result.items())))
