"""Makes imported instances visible: one transaction for one group of files that belong into one image set."""

import gzip
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.dicom.found_files import FoundFile, printable
from dicomweb_gateway.emulator.blobs import blob_path, write_durably
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.events import Events
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.merge import MergedDocument, merged_document
from dicomweb_gateway.emulator.ingest.reading import Identity
from dicomweb_gateway.emulator.jobs import IMPORTED, INSERT_OUTCOME, SKIPPED, FileOutcome, outcome_rows
from dicomweb_gateway.emulator.storage import Storage

CREATED, UPDATED = "CREATED", "UPDATED"
_GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Target:
    """The image set that takes the instances; `existing` is None for a new one."""

    image_set_id: str
    version: int
    is_primary: bool
    existing: Row | None


def publish(
    storage: Storage,
    events: Events,
    job_id: str | None,
    datastore_id: str,
    group: Sequence[tuple[FoundFile, ImportedInstance]],
) -> list[FileOutcome]:
    """Store one group (same grouping elements, files in path order) and record what became of each file.

    `job_id` None: the files are parts of a request, of which nothing is recorded.

    Of several files with one SOP Instance UID the first counts; the others are skipped, and the message says
    whether they differ. Document and blobs are on disk before the transaction; a crash in between leaves
    orphans that the next start sweeps.
    """
    winners, losers = _without_duplicates(group)
    identity = winners[0][1].identity
    with storage.catalogue.write_lock:
        target = _target(storage, datastore_id, identity)
        document = merged_document(
            datastore_id,
            target.image_set_id,
            identity.series_uid,
            _existing_document(storage, target),
            [instance for _, instance in winners],
        )
        name = uuid.uuid4().hex
        write_durably(blob_path(storage.documents, name), gzip.compress(document.body, _GZIP_LEVEL, mtime=0))
        outcomes = [_outcome(file, instance, target) for file, instance in winners]
        outcomes += [_outcome(file, instance, target, message) for file, instance, message in losers]
        with storage.catalogue.transaction() as connection:
            _write_image_set(connection, datastore_id, identity, target, document, name)
            connection.executemany(
                "INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?, ?)", _frame_rows(target, winners)
            )
            if job_id is not None:
                connection.executemany(INSERT_OUTCOME, outcome_rows(job_id, outcomes))
                connection.executemany(
                    "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)",
                    _ledger_rows(datastore_id, target, winners, losers),
                )
    made = {"id": target.image_set_id, "datastore_id": datastore_id, "is_primary": target.is_primary}
    events.image_set("Created" if target.existing is None else "Updated", made, target.version)
    _discard_unused(storage, [instance.blob for _, instance in group if instance.blob])
    return outcomes


def _without_duplicates(
    group: Sequence[tuple[FoundFile, ImportedInstance]],
) -> tuple[list[tuple[FoundFile, ImportedInstance]], list[tuple[FoundFile, ImportedInstance, str]]]:
    first: dict[str, tuple[FoundFile, ImportedInstance]] = {}
    losers = []
    for file, instance in group:
        kept = first.setdefault(instance.identity.instance_uid, (file, instance))
        if kept[0] is not file:
            same = kept[1].digest == instance.digest
            difference = "the same as" if same else "different from"
            message = f"same SOP Instance UID as {printable(kept[0].path)}, content {difference} it"
            losers.append((file, instance, message))
    return list(first.values()), losers


def _target(storage: Storage, datastore_id: str, identity: Identity) -> Target:
    """The primary image set of the series when the grouping elements agree, else a non-primary one (2.5)."""
    study_key, series_key = _keys(identity)
    rows = storage.catalogue.all(
        "SELECT * FROM image_set WHERE datastore_id = ? AND study_uid = ? AND state = 'ACTIVE' "
        "ORDER BY is_primary DESC, created, id",
        (datastore_id, identity.study_uid),
    )
    same_series = [row for row in rows if row["series_uid"] == identity.series_uid]
    for row in same_series:
        if (row["study_key"], row["series_key"]) == (study_key, series_key):
            return Target(row["id"], row["version"] + 1, bool(row["is_primary"]), row)
    has_primary = any(row["is_primary"] for row in same_series)
    study_agrees = all(row["study_key"] == study_key for row in rows if row["is_primary"])
    return Target(uuid.uuid4().hex, 1, study_agrees and not has_primary, None)


def _keys(identity: Identity) -> tuple[str, str]:
    return orjson.dumps(identity.study_key).decode(), orjson.dumps(identity.series_key).decode()


def _existing_document(storage: Storage, target: Target) -> bytes | None:
    if target.existing is None:
        return None
    row = storage.catalogue.one(
        "SELECT metadata FROM image_set_version WHERE image_set_id = ? AND version = ?",
        (target.image_set_id, target.existing["version"]),
    )
    return None if row is None else gzip.decompress(storage.read_document(row["metadata"]))


def _write_image_set(
    connection: Any,
    datastore_id: str,
    identity: Identity,
    target: Target,
    document: MergedDocument,
    metadata: str,
) -> None:
    now = time.time()
    study_key, series_key = _keys(identity)
    created = now if target.existing is None else target.existing["created"]
    tags = search_tags(document)
    connection.execute(
        "INSERT OR REPLACE INTO image_set VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            target.image_set_id,
            datastore_id,
            identity.study_uid,
            identity.series_uid,
            study_key,
            series_key,
            target.is_primary,
            target.version,
            "ACTIVE",
            created,
            now,
            None,
            document.instances,
            tags["DICOMPatientId"],
            tags["DICOMAccessionNumber"],
            tags["DICOMStudyId"],
            study_moment(tags["DICOMStudyDate"], tags["DICOMStudyTime"]),
            orjson.dumps(tags).decode(),
        ),
    )
    connection.execute(
        "INSERT INTO image_set_version VALUES (?, ?, ?, ?, ?, ?)",
        (
            target.image_set_id,
            target.version,
            CREATED if target.existing is None else UPDATED,
            created,
            now,
            metadata,
        ),
    )


def search_tags(document: MergedDocument) -> dict[str, Any]:
    """The DICOMTags of a search summary (1.3), without the counts over the study."""
    patient, study, series = document.patient, document.study, document.series
    number = _text(series.get("SeriesNumber"))
    return {
        "DICOMPatientId": _text(patient.get("PatientID")),
        "DICOMPatientName": _text(patient.get("PatientName")),
        "DICOMPatientBirthDate": _text(patient.get("PatientBirthDate")),
        "DICOMPatientSex": _text(patient.get("PatientSex")),
        "DICOMStudyInstanceUID": _text(study.get("StudyInstanceUID")),
        "DICOMStudyId": _text(study.get("StudyID")),
        "DICOMStudyDescription": _text(study.get("StudyDescription")),
        "DICOMAccessionNumber": _text(study.get("AccessionNumber")),
        "DICOMSeriesInstanceUID": _text(series.get("SeriesInstanceUID")),
        "DICOMSeriesModality": _text(series.get("Modality")),
        "DICOMSeriesBodyPart": _text(series.get("BodyPartExamined")),
        "DICOMSeriesNumber": int(number) if number and number.lstrip("+-").isdecimal() else None,
        "DICOMStudyDate": _text(study.get("StudyDate")),
        "DICOMStudyTime": _text(study.get("StudyTime")),
    }


def study_moment(date: str | None, clock: str | None) -> str | None:
    """Study date and time as one text that sorts: YYYYMMDDHHMMSS.ffffff; None without a date."""
    if not date:
        return None
    whole, _, fraction = (clock or "").partition(".")
    return f"{date}{whole:0<6}.{fraction:0<6}"


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return "\\".join(str(v) for v in value)
    return None if value is None else str(value)


def _frame_rows(
    target: Target, winners: Sequence[tuple[FoundFile, ImportedInstance]]
) -> list[tuple[object, ...]]:
    return [
        (
            target.image_set_id,
            frame.frame_id,
            instance.blob,
            frame.offset,
            frame.length,
            instance.transfer_syntax_uid,
        )
        for _, instance in winners
        for frame in instance.frames
    ]


def _ledger_rows(
    datastore_id: str,
    target: Target,
    winners: Sequence[tuple[FoundFile, ImportedInstance]],
    losers: Sequence[tuple[FoundFile, ImportedInstance, str]],
) -> list[tuple[object, ...]]:
    noted = [(file, instance, None) for file, instance in winners] + list(losers)
    return [
        (
            datastore_id,
            os.fsencode(file.path),
            file.size,
            file.mtime_ns,
            instance.identity.instance_uid,
            target.image_set_id,
            note,
        )
        for file, instance, note in noted
    ]


def _outcome(
    file: FoundFile, instance: ImportedInstance, target: Target, duplicate: str | None = None
) -> FileOutcome:
    return FileOutcome(
        path=file.path,
        outcome=IMPORTED if duplicate is None else SKIPPED,
        instance_uid=instance.identity.instance_uid,
        image_set_id=target.image_set_id,
        version=target.version,
        is_primary=target.is_primary,
        message=duplicate or "; ".join(instance.warnings) or None,
    )


def _discard_unused(storage: Storage, blobs: list[str]) -> None:
    """Blobs of duplicates, and of frames that the image set already had."""
    unused = [
        blob
        for blob in blobs
        if storage.catalogue.one("SELECT 1 FROM frame WHERE blob = ? LIMIT 1", (blob,)) is None
    ]
    storage.discard(unused, [])
