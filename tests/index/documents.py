"""Image set metadata documents for tests, written the way HealthImaging writes them (schema 1.1)."""

import hashlib
from typing import Any

import orjson

from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document

CT = "1.2.840.10008.5.1.4.1.1.2"
STORE = "0123456789abcdef0123456789abcdef"


def hex_id(*words: object) -> str:
    """32 hex digits, the same for the same words."""
    return hashlib.md5(repr(words).encode(), usedforsecurity=False).hexdigest()


def instance(uid: str, frames: int = 1, **tags: Any) -> dict[str, Any]:
    """One instance; `tags` are added to or replace those of a small CT slice."""
    entries = [
        {
            "ID": hex_id("frame", uid, number),
            "PixelDataChecksumFromBaseToFullResolution": [
                {"Width": 8, "Height": 8, "Checksum": 4_000_000_000 + number}
            ],
        }
        for number in range(frames)
    ]
    image = {
        "Rows": 8,
        "Columns": 8,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "SamplesPerPixel": 1,
    }
    dicom = {"SOPClassUID": CT, "SOPInstanceUID": uid, **(image if frames else {}), **tags}
    return {
        "DICOM": dicom,
        "DICOMVRs": {},
        "StoredTransferSyntaxUID": "1.2.840.10008.1.2.4.202",
        "ImageFrames": entries,
    }


def document(study_uid: str, series: dict[str, dict[str, Any]], **more: Any) -> ImageSetDocument:
    """The image set of `raw_document`, which takes `more`."""
    return parse_document(orjson.dumps(raw_document(study_uid, series, **more)))


def raw_document(
    study_uid: str,
    series: dict[str, dict[str, Any]],
    *,
    name: str = "set",
    patient: dict[str, Any] | None = None,
    study: dict[str, Any] | None = None,
    series_tags: dict[str, Any] | None = None,
    store: str = STORE,
) -> dict[str, Any]:
    """One image set as decoded JSON.

    `series` is series UID to instance UID to `instance(...)`, `name` makes its id.
    """
    return {
        "SchemaVersion": "1.1",
        "DatastoreID": store,
        "ImageSetID": hex_id(name),
        "Patient": {"DICOM": {"PatientID": "P1", "PatientName": "Doe^John", **(patient or {})}},
        "Study": {
            "DICOM": {"StudyInstanceUID": study_uid, "StudyDate": "20240101", **(study or {})},
            "Series": {
                uid: {
                    "DICOM": {"SeriesInstanceUID": uid, "Modality": "CT", **(series_tags or {})},
                    "Instances": instances,
                }
                for uid, instances in series.items()
            },
        },
    }


def simple(study_uid: str, name: str, instances: int = 1, **levels: Any) -> ImageSetDocument:
    """One series `<study>.1` of that many numbered instances `<study>.1.<n>`."""
    uid = f"{study_uid}.1"
    made = {f"{uid}.{n}": instance(f"{uid}.{n}", InstanceNumber=str(n)) for n in range(1, instances + 1)}
    return document(study_uid, {uid: made}, name=name, **levels)
