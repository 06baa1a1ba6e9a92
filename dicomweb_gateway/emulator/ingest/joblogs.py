"""The manifest and the logs that an import job leaves in its output folder (healthimaging.md 4.1)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from dicomweb_gateway.dicom.found_files import printable
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.jobs import BROKE, IMPORTED, REFUSED, SKIPPED, UNCHANGED, FileOutcome

MANIFEST = "job-output-manifest.json"
_DUPLICATE_CODE, _PIXELS_CODE = 45331, 45332


def log_files(job: Row, outcomes: list[FileOutcome]) -> list[tuple[str, bytes]]:
    """Names and contents of all logs, the manifest last: once it is there, so are the others."""
    return [
        ("SUCCESS/success.ndjson", _lines(_success(outcomes))),
        ("FAILURE/failure.ndjson", _lines(_failure(outcomes))),
        ("WARNING/warning.ndjson", _lines(_warning(outcomes))),
        (MANIFEST, orjson.dumps({"jobSummary": _summary(job, outcomes)})),
    ]


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)


def _success(outcomes: list[FileOutcome]) -> Iterator[dict[str, Any]]:
    for outcome in outcomes:
        if outcome.outcome == IMPORTED:
            yield {
                "inputFile": printable(outcome.path),
                "importResponse": {"imageSetId": outcome.image_set_id, "isPrimary": outcome.is_primary},
            }


def _failure(outcomes: list[FileOutcome]) -> Iterator[dict[str, Any]]:
    kinds = {REFUSED: "ValidationException", BROKE: "InternalServerException"}
    for outcome in outcomes:
        if outcome.outcome in kinds:
            yield {
                "inputFile": printable(outcome.path),
                "exception": {"exceptionType": kinds[outcome.outcome], "message": outcome.message},
            }


def _warning(outcomes: list[FileOutcome]) -> Iterator[dict[str, Any]]:
    """Imported files with a remark, and files left out because another stands for the instance."""
    for outcome in outcomes:
        duplicate = outcome.outcome == SKIPPED
        if duplicate or (outcome.outcome == IMPORTED and outcome.message):
            warning = {
                "warning_reason_code": _DUPLICATE_CODE if duplicate else _PIXELS_CODE,
                "type": "DuplicateSOPInstanceUID" if duplicate else "UndecodablePixelData",
                "message": outcome.message,
            }
            yield {
                "inputFile": printable(outcome.path),
                "importResponse": {
                    "imageSetId": outcome.image_set_id,
                    "imageSetVersion": outcome.version,
                    "isPrimary": outcome.is_primary,
                    "warnings": [warning],
                },
            }


def _summary(job: Row, outcomes: list[FileOutcome]) -> dict[str, Any]:
    counts = Counter(outcome.outcome for outcome in outcomes)
    uri = job["output_uri"]
    sets = _image_sets(outcomes)
    return {
        "jobId": job["id"],
        "datastoreId": job["datastore_id"],
        "inputS3Uri": job["input_uri"],
        "outputS3Uri": uri,
        "successOutputS3Uri": f"{uri}SUCCESS/",
        "failureOutputS3Uri": f"{uri}FAILURE/",
        "warningsOutputS3Uri": f"{uri}WARNING/",
        "numberOfScannedFiles": len(outcomes),
        "numberOfImportedFiles": counts[IMPORTED],
        "numberOfFilesWithCustomerError": counts[REFUSED],
        "numberOfFilesWithServerError": counts[BROKE],
        "numberOfSkippedFiles": counts[SKIPPED],
        "numberOfUnchangedFiles": counts[UNCHANGED],
        "numberOfGeneratedImageSets": len(sets),
        "imageSetsSummary": sets,
    }


def _image_sets(outcomes: list[FileOutcome]) -> list[dict[str, Any]]:
    """One entry an image set that this job made or changed."""
    sets: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.outcome == IMPORTED and outcome.image_set_id:
            entry = sets.setdefault(
                outcome.image_set_id,
                {
                    "imageSetId": outcome.image_set_id,
                    "imageSetVersion": outcome.version,
                    "isPrimary": outcome.is_primary,
                    "numberOfMatchedSOPInstances": 0,
                },
            )
            entry["imageSetVersion"] = max(entry["imageSetVersion"], outcome.version or 0)
            entry["numberOfMatchedSOPInstances"] += 1
    return list(sets.values())
