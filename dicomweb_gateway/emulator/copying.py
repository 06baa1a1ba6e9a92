"""CopyImageSet: instances of an image set into a new or an existing one (healthimaging.md 4.5)."""

import time
import uuid
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import Conflict, InvalidRequest, QuotaExceeded
from dicomweb_gateway.emulator.storage import Storage
from dicomweb_gateway.emulator.versions import (
    Document,
    NewVersion,
    frame_ids,
    instances_in,
    read_document,
    writable,
    write_version,
)

COPIED = "COPIED"
_MOST_FRAMES = 1000
_LONGEST_ATTRIBUTES = 260_000


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A parsed request. `wanted`: by series the instances to copy, None for all of the image set."""

    source_version: str
    wanted: dict[str, list[str]] | None
    destination_id: str | None = None
    destination_version: str | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: the source, and the destination at its new version."""

    source: Row
    destination: Row
    version: int


def parse_copy(body: Mapping[str, Any]) -> CopyRequest:
    """The body of a request; InvalidRequest naming what is wrong."""
    source, destination = body.get("sourceImageSet"), body.get("destinationImageSet")
    if not isinstance(source, dict) or not isinstance(source.get("latestVersionId"), str):
        raise InvalidRequest("sourceImageSet must have a latestVersionId")
    wanted = None
    if source.get("DICOMCopies") is not None:
        copies = source["DICOMCopies"]
        wanted = _wanted(copies.get("copiableAttributes") if isinstance(copies, dict) else None)
    if destination is None:
        return CopyRequest(source["latestVersionId"], wanted)
    names = ("imageSetId", "latestVersionId")
    if not isinstance(destination, dict) or not all(isinstance(destination.get(one), str) for one in names):
        raise InvalidRequest("destinationImageSet must have an imageSetId and a latestVersionId")
    return CopyRequest(source["latestVersionId"], wanted, *(destination[one] for one in names))


def copy_image_set(
    storage: Storage, datastore_id: str, source_id: str, asked: CopyRequest, *, force: bool, promote: bool
) -> Copied:
    """Copy; Conflict for image sets that are not ACTIVE or not at the version that is told."""
    if promote and asked.destination_id is not None:
        raise InvalidRequest("promoteToPrimary makes a new image set and takes no destination")
    if asked.destination_id == source_id:
        raise InvalidRequest("An image set cannot be copied into itself")
    with storage.catalogue.write_lock:
        source = writable(storage, datastore_id, source_id, asked.source_version)
        document = _chosen(read_document(storage, source), asked.wanted)
        frames = frame_ids(instances_in(document))
        if len(frames) > _MOST_FRAMES:
            raise QuotaExceeded(f"A copy may have {_MOST_FRAMES} frames")
        if asked.destination_id is None:
            new, whole = _new_set(storage, source, document, promote)
        else:
            new, whole = _into(storage, datastore_id, asked, document, force)
        whole["ImageSetID"] = new.image_set_id
        write_version(storage, new, whole)
        _copy_frames(storage, source_id, new.image_set_id, frames)
        row = storage.catalogue.one("SELECT * FROM image_set WHERE id = ?", (new.image_set_id,))
    if row is None:
        raise Conflict("The copy is gone")
    return Copied(source, row, new.version)


def _new_set(storage: Storage, source: Row, document: Document, promote: bool) -> tuple[NewVersion, Document]:
    if promote:
        known = storage.catalogue.one(
            "SELECT 1 FROM image_set WHERE datastore_id = ? AND series_uid = ? AND is_primary = 1 "
            "AND state = 'ACTIVE'",
            (source["datastore_id"], source["series_uid"]),
        )
        if known is not None:
            raise Conflict("The series has a primary image set")
    new = NewVersion(uuid.uuid4().hex, source["datastore_id"], 1, promote, COPIED, time.time())
    return new, document


def _into(
    storage: Storage, datastore_id: str, asked: CopyRequest, document: Document, force: bool
) -> tuple[NewVersion, Document]:
    destination = writable(storage, datastore_id, asked.destination_id or "", asked.destination_version)
    whole = deepcopy(read_document(storage, destination))
    if instances_in(whole).keys() & instances_in(document).keys():
        raise InvalidRequest("SOP Instance UIDs must be unique in an image set")
    if not force:
        _require_consistent(whole, document)
    for uid, series in document["Study"]["Series"].items():
        there = whole["Study"]["Series"].setdefault(uid, {"DICOM": series["DICOM"], "Instances": {}})
        there["Instances"] = dict(sorted({**there["Instances"], **series["Instances"]}.items()))
    new = NewVersion(
        destination["id"],
        datastore_id,
        destination["version"] + 1,
        bool(destination["is_primary"]),
        COPIED,
        destination["created"],
        force,
    )
    return new, whole


def _require_consistent(whole: Document, document: Document) -> None:
    series, other = whole["Study"]["Series"], document["Study"]["Series"]
    agree = (
        whole["Patient"] == document["Patient"]
        and whole["Study"]["DICOM"] == document["Study"]["DICOM"]
        and all(uid in series and series[uid]["DICOM"] == one["DICOM"] for uid, one in other.items())
    )
    if not agree:
        raise InvalidRequest("Patient, study or series of the two image sets are inconsistent")


def _wanted(text: Any) -> dict[str, list[str]]:
    if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_ATTRIBUTES:
        raise InvalidRequest(f"copiableAttributes must be text of 1 to {_LONGEST_ATTRIBUTES} characters")
    try:
        series = orjson.loads(text)["Study"]["Series"]
        return {uid: list(one["Instances"]) for uid, one in series.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest("copiableAttributes must be JSON with Study, Series and Instances") from error


def _chosen(document: Document, wanted: dict[str, list[str]] | None) -> Document:
    if wanted is None:
        return document
    chosen: Document = {}
    for uid, instance_uids in wanted.items():
        series = document["Study"]["Series"].get(uid)
        if series is None or not set(instance_uids) <= series["Instances"].keys():
            raise InvalidRequest("copiableAttributes names what the image set does not have")
        chosen[uid] = {**series, "Instances": {one: series["Instances"][one] for one in instance_uids}}
    if not any(one["Instances"] for one in chosen.values()):
        raise InvalidRequest("copiableAttributes names no instance")
    return {**document, "Study": {**document["Study"], "Series": chosen}}


def _copy_frames(storage: Storage, source_id: str, target_id: str, frames: list[str]) -> None:
    with storage.catalogue.transaction() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO frame SELECT ?, frame_id, blob, offset, length, transfer_syntax_uid "
            "FROM frame WHERE image_set_id = ? AND frame_id = ?",
            [(target_id, source_id, frame) for frame in frames],
        )
