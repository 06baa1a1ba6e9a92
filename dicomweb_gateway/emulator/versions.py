"""Writes a new version of an image set out of a changed document (healthimaging.md 4.3)."""

import gzip
import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.emulator.blobs import blob_path, write_durably
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import Conflict, InvalidRequest
from dicomweb_gateway.emulator.image_sets import ACTIVE, document_of, find_image_set
from dicomweb_gateway.emulator.ingest.merge import MergedDocument
from dicomweb_gateway.emulator.ingest.publish import search_tags, study_moment
from dicomweb_gateway.emulator.storage import Storage

Document = dict[str, Any]
_GZIP_LEVEL = 6
_STUDY_KEYS = ("StudyDate", "AccessionNumber", "PatientID", "StudyID")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be written: `image_set_id` at `version`, `workflow` as the version's status."""

    image_set_id: str
    datastore_id: str
    version: int
    is_primary: bool
    workflow: str
    created: float
    forced: bool = False


def writable(storage: Storage, datastore_id: str, image_set_id: str, latest: str | None) -> Row:
    """An image set that may be changed; Conflict when it is not ACTIVE, or not at version `latest`."""
    if latest is None or not (latest.isascii() and latest.isdigit()) or len(latest) > 9:
        raise InvalidRequest("Value at 'latestVersionId' failed to satisfy constraint: must match \\d+")
    row = find_image_set(storage, datastore_id, image_set_id)
    if row["state"] != ACTIVE:
        raise Conflict(f"Image set {image_set_id} is {row['state']}")
    if row["version"] != int(latest):
        raise Conflict(f"Version {latest} is not the latest of image set {image_set_id}")
    return row


def read_document(storage: Storage, row: Row, version: int | None = None) -> Document:
    """A metadata document as JSON values."""
    document: Document = orjson.loads(gzip.decompress(document_of(storage, row, version)[1]))
    return document


def write_version(storage: Storage, new: NewVersion, document: Document) -> None:
    """Make a version visible, and the latest of its image set; the catalogue's write lock is held."""
    merged = _merged(document)
    name = uuid.uuid4().hex
    write_durably(
        blob_path(storage.documents, name), gzip.compress(orjson.dumps(document), _GZIP_LEVEL, mtime=0)
    )
    now = time.time()
    with storage.catalogue.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO image_set VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _row(new, document, merged, now),
        )
        connection.execute(
            "INSERT INTO image_set_version VALUES (?, ?, ?, ?, ?, ?)",
            (new.image_set_id, new.version, new.workflow, new.created, now, name),
        )
        if new.forced:
            connection.execute("INSERT OR REPLACE INTO forced VALUES (?, ?)", (new.image_set_id, new.version))


def instances_in(document: Document) -> dict[str, Document]:
    """The instances of all series by SOP Instance UID."""
    return {
        uid: instance
        for series in document["Study"]["Series"].values()
        for uid, instance in series["Instances"].items()
    }


def frame_ids(instances: dict[str, Document]) -> list[str]:
    """The frames of instances."""
    return [frame["ID"] for one in instances.values() for frame in one.get("ImageFrames") or ()]


def _merged(document: Document) -> MergedDocument:
    series = next(iter(document["Study"]["Series"].values()))
    return MergedDocument(
        b"",
        document["Patient"]["DICOM"],
        document["Study"]["DICOM"],
        series["DICOM"],
        len(instances_in(document)),
    )


def _row(new: NewVersion, document: Document, merged: MergedDocument, now: float) -> tuple[object, ...]:
    tags = search_tags(merged)
    series_uid = next(iter(document["Study"]["Series"]))
    attributes = {**merged.patient, **merged.study}
    study_key = [_plain(attributes.get(name)) for name in _STUDY_KEYS]
    return (
        new.image_set_id,
        new.datastore_id,
        _plain(merged.study.get("StudyInstanceUID")),
        series_uid,
        orjson.dumps(study_key).decode(),
        orjson.dumps([_plain(merged.series.get("SeriesNumber"))]).decode(),
        new.is_primary,
        new.version,
        ACTIVE,
        new.created,
        now,
        None,
        merged.instances,
        tags["DICOMPatientId"],
        tags["DICOMAccessionNumber"],
        tags["DICOMStudyId"],
        study_moment(tags["DICOMStudyDate"], tags["DICOMStudyTime"]),
        orjson.dumps(tags).decode(),
    )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "\\".join(str(one) for one in value)
    return "" if value is None else str(value)
