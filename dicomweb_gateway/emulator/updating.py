"""UpdateImageSetMetadata: changes, removals, reverts, and what they must not touch (healthimaging.md 4.4)."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, is_private, tag_of_key
from dicomweb_gateway.dicom.normalization import level_of
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import InvalidRequest, QuotaExceeded
from dicomweb_gateway.emulator.storage import Storage
from dicomweb_gateway.emulator.versions import (
    Document,
    NewVersion,
    instances_in,
    read_document,
    writable,
    write_version,
)

UPDATED = "UPDATED"
_LONGEST_BLOB = 30_000
_LONGEST_PAYLOAD = 10_240
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_FORCED_ONLY = frozenset((*_UIDS, "StudyID"))
_NEVER = frozenset(
    (
        *("SchemaVersion", "DatastoreID", "ImageSetID", "PixelData", "Checksum", "Width", "Height"),
        *("MinPixelValue", "MaxPixelValue", "FrameSizeInBytes"),
    )
)
_TOP = {"SchemaVersion", "Patient", "Study"}


@dataclass(frozen=True, slots=True)
class Update:
    """A parsed request: either `revert_to`, or what to change and what to remove, in the document's shape."""

    updatable: Document
    removable: Document
    revert_to: int | None = None

    @property
    def is_study_only(self) -> bool:
        """Whether it changes attributes of the study and nothing else."""
        levels = {level for one in (self.updatable, self.removable) for level, _ in _levels(one)}
        return levels == {"study"}


def parse_update(body: Mapping[str, Any]) -> Update:
    """The union of the request's body; InvalidRequest naming what is wrong."""
    changes, revert = body.get("DICOMUpdates"), body.get("revertToVersionId")
    if (changes is None) == (revert is None):
        raise InvalidRequest("updateImageSetMetadataUpdates must have DICOMUpdates or revertToVersionId")
    if revert is not None:
        if not isinstance(revert, str) or not (revert.isascii() and revert.isdigit()) or len(revert) > 9:
            raise InvalidRequest("Value at 'revertToVersionId' failed to satisfy constraint: must match \\d+")
        return Update({}, {}, int(revert))
    if not isinstance(changes, dict):
        raise InvalidRequest("DICOMUpdates must be an object")
    blobs = [changes.get(name) for name in ("updatableAttributes", "removableAttributes")]
    if not any(blobs):
        raise InvalidRequest("DICOMUpdates must have updatableAttributes or removableAttributes")
    texts = [_decoded(blob) if blob is not None else b"" for blob in blobs]
    if sum(map(len, texts)) > _LONGEST_PAYLOAD:
        raise QuotaExceeded(f"An update may have {_LONGEST_PAYLOAD} bytes")
    updatable, removable = (_tree(text) if text else {} for text in texts)
    return Update(updatable, removable)


def update_image_set(
    storage: Storage, row: Row, update: Update, *, force: bool, whole_study: bool
) -> list[tuple[Row, int]]:
    """The image sets that were changed with their new versions, the one that was asked for first."""
    if whole_study and not update.is_study_only:
        raise InvalidRequest("includeStudyImageSets is for attributes of the study alone")
    with storage.catalogue.write_lock:
        row = writable(storage, row["datastore_id"], row["id"], str(row["version"]))
        rows = [row, *(_others_of_study(storage, row) if whole_study else ())]
        documents = [_changed(storage, one, update, force) for one in rows]
        changed = []
        for one, document in zip(rows, documents, strict=True):
            new = NewVersion(
                one["id"],
                one["datastore_id"],
                one["version"] + 1,
                bool(one["is_primary"]),
                UPDATED,
                one["created"],
                force,
            )
            write_version(storage, new, document)
            changed.append((one, new.version))
    return changed


def _others_of_study(storage: Storage, row: Row) -> list[Row]:
    return storage.catalogue.all(
        "SELECT * FROM image_set WHERE datastore_id = ? AND study_uid = ? AND state = 'ACTIVE' AND id != ?",
        (row["datastore_id"], row["study_uid"], row["id"]),
    )


def _changed(storage: Storage, row: Row, update: Update, force: bool) -> Document:
    if update.revert_to is not None:
        if update.revert_to >= row["version"]:
            raise InvalidRequest("revertToVersionId must be an earlier version")
        return read_document(storage, row, update.revert_to)
    for tree in (update.updatable, update.removable):
        _check(tree, bool(row["is_primary"]), force)
    document = deepcopy(read_document(storage, row))
    _remove(document, update.removable)
    _put(document, update.updatable)
    if not instances_in(document):
        raise InvalidRequest("An image set must keep an instance")
    return document


def _decoded(blob: Any) -> bytes:
    try:
        text = base64.b64decode(blob, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidRequest("DICOMUpdates must be base64") from error
    if not 1 <= len(text) <= _LONGEST_BLOB:
        raise InvalidRequest(f"A blob of DICOMUpdates must have 1 to {_LONGEST_BLOB} bytes")
    return text


def _tree(text: bytes) -> Document:
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("DICOMUpdates is not valid JSON") from error
    if not isinstance(tree, dict) or set(tree) - _TOP or str(tree.get("SchemaVersion")) != "1.1":
        raise InvalidRequest("DICOMUpdates must be an object with SchemaVersion 1.1, Patient and Study")
    list(_levels(tree))
    return tree


def _levels(tree: Document) -> Iterator[tuple[str, Document]]:
    """(level, attributes) of a tree of changes; InvalidRequest when its shape is not the document's."""
    patient, study = _object(tree, "Patient"), _object(tree, "Study")
    if "DICOM" in patient:
        yield "patient", _object(patient, "DICOM")
    if "DICOM" in study:
        yield "study", _object(study, "DICOM")
    for uid in _object(study, "Series"):
        series = _object(study["Series"], uid)
        if "DICOM" in series:
            yield "series", _object(series, "DICOM")
        for instance_uid in _object(series, "Instances"):
            instance = _object(series["Instances"], instance_uid)
            if instance:
                yield "instance", _object(instance, "DICOM")


def _object(parent: Mapping[str, Any], name: str) -> Document:
    found = parent.get(name, {})
    if not isinstance(found, dict):
        raise InvalidRequest(f"{name} must be an object")
    return found


def _check(tree: Document, is_primary: bool, force: bool) -> None:
    for level, attributes in _levels(tree):
        if is_primary and level in ("patient", "series"):
            raise InvalidRequest(f"Attributes of the {level} of a primary image set cannot be changed")
        for key, value in attributes.items():
            if key in _NEVER:
                raise InvalidRequest(f"{key} cannot be changed")
            if key in _UIDS and is_primary:
                raise InvalidRequest(f"{key} of a primary image set cannot be changed")
            if not force:
                _check_unforced(level, key, value)


def _check_unforced(level: str, key: str, value: Any) -> None:
    if key in _FORCED_ONLY:
        raise InvalidRequest(f"{key} can be changed with force only")
    tag = tag_of_key(key)
    attribute = attribute_of_keyword(key)
    if tag is None or attribute is None or is_private(tag):
        raise InvalidRequest(f"{key} is no attribute that can be changed")
    if attribute.vr == "SQ" or isinstance(value, list | dict):
        raise InvalidRequest(f"{key} has several values, or items")
    if level_of(tag) != level:
        raise InvalidRequest(f"{key} is no attribute of the {level}")


def _remove(document: Document, tree: Document) -> None:
    for there, asked in _pairs(document, tree):
        for key in asked:
            there.pop(key, None)
    for uid, series in _object(_object(tree, "Study"), "Series").items():
        there = _named(document["Study"]["Series"], uid)
        for instance_uid, instance in _object(series, "Instances").items():
            if not instance:
                _named(there["Instances"], instance_uid)
                del there["Instances"][instance_uid]


def _put(document: Document, tree: Document) -> None:
    for there, asked in _pairs(document, tree):
        there.update(asked)
    before = _counted(document)
    document["Study"]["Series"] = {
        str(series["DICOM"].get("SeriesInstanceUID") or uid): {
            **series,
            "Instances": {
                str(instance["DICOM"].get("SOPInstanceUID") or name): instance
                for name, instance in series["Instances"].items()
            },
        }
        for uid, series in document["Study"]["Series"].items()
    }
    if _counted(document) != before:
        raise InvalidRequest("Two series or instances would have one UID")


def _counted(document: Document) -> tuple[int, int]:
    """Numbers of series and of instances."""
    found = document["Study"]["Series"]
    return len(found), sum(len(series["Instances"]) for series in found.values())


def _pairs(document: Document, tree: Document) -> Iterator[tuple[Document, Document]]:
    """Attributes of the document, with those of the tree for them; UIDs that are not there are refused."""
    patient, study = _object(tree, "Patient"), _object(tree, "Study")
    yield document["Patient"]["DICOM"], _object(patient, "DICOM")
    yield document["Study"]["DICOM"], _object(study, "DICOM")
    for uid, series in _object(study, "Series").items():
        there = _named(document["Study"]["Series"], uid)
        yield there["DICOM"], _object(series, "DICOM")
        for instance_uid, instance in _object(series, "Instances").items():
            yield _named(there["Instances"], instance_uid)["DICOM"], _object(instance, "DICOM")


def _named(parent: Document, uid: str) -> Document:
    if uid not in parent:
        raise InvalidRequest(f"The image set has no {uid[:64]}")
    found: Document = parent[uid]
    return found
