"""Import jobs as the catalogue keeps them: a job that was acknowledged is there after any crash."""

import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from dicomweb_gateway.emulator.catalogue import Catalogue, Row
from dicomweb_gateway.emulator.errors import NotFound

SUBMITTED, IN_PROGRESS, COMPLETED, FAILED = "SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED"

IMPORTED = "imported"
SKIPPED = "skipped"
UNCHANGED = "unchanged"
REFUSED = "refused"
BROKE = "broke"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file of a job.

    `outcome`: imported | skipped (another file already stands for the instance) | unchanged (not read
    again) | refused (the file's fault) | broke (ours). `message` is the reason, or a warning.
    """

    path: str
    outcome: str
    instance_uid: str | None = None
    image_set_id: str | None = None
    version: int | None = None
    is_primary: bool | None = None
    message: str | None = None


def submit_job(
    catalogue: Catalogue,
    *,
    datastore_id: str,
    name: str | None,
    client_token: str,
    role_arn: str,
    input_uri: str,
    output_uri: str,
) -> Row:
    """A new job, on disk when this returns; or the one that the same client token started before."""
    with catalogue.transaction() as connection:
        known: Row | None = connection.execute(
            "SELECT * FROM job WHERE datastore_id = ? AND client_token = ?", (datastore_id, client_token)
        ).fetchone()
        if known is not None:
            return known
        job_id = uuid.uuid4().hex
        connection.execute(
            "INSERT INTO job (id, datastore_id, name, client_token, role_arn, input_uri, output_uri, status, "
            "submitted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job_id,
                datastore_id,
                name,
                client_token,
                role_arn,
                input_uri,
                f"{output_uri}{datastore_id}-DicomImport-{job_id}/",
                SUBMITTED,
                time.time(),
            ),
        )
    return find_job(catalogue, datastore_id, job_id)


def find_job(catalogue: Catalogue, datastore_id: str, job_id: str) -> Row:
    """One job of a data store; NotFound when there is none."""
    row = catalogue.one("SELECT * FROM job WHERE id = ? AND datastore_id = ?", (job_id, datastore_id))
    if row is None:
        raise NotFound(f"Import job {job_id} does not exist in data store {datastore_id}")
    return row


def list_jobs(
    catalogue: Catalogue, datastore_id: str, status: str | None, limit: int, offset: int
) -> list[Row]:
    """A page of jobs, newest first."""
    return catalogue.all(
        "SELECT * FROM job WHERE datastore_id = ? AND (?2 IS NULL OR status = ?2) "
        "ORDER BY sequence DESC LIMIT ? OFFSET ?",
        (datastore_id, status, limit, offset),
    )


def next_job(catalogue: Catalogue) -> Row | None:
    """The oldest job that is not at its end: an interrupted one goes on before newer ones begin."""
    return catalogue.one(
        "SELECT * FROM job WHERE status IN (?, ?) ORDER BY sequence LIMIT 1", (SUBMITTED, IN_PROGRESS)
    )


def set_status(catalogue: Catalogue, job_id: str, status: str, message: str | None = None) -> None:
    """Move a job on; COMPLETED and FAILED get their end time."""
    ended = time.time() if status in (COMPLETED, FAILED) else None
    with catalogue.transaction() as connection:
        connection.execute(
            "UPDATE job SET status = ?, ended = ?, message = ? WHERE id = ?", (status, ended, message, job_id)
        )


def outcome_rows(job_id: str, outcomes: Iterable[FileOutcome]) -> list[tuple[object, ...]]:
    """Rows for `INSERT INTO job_file`, for the transaction that publishes what they tell of."""
    return [
        (
            job_id,
            os.fsencode(o.path),
            o.outcome,
            o.instance_uid,
            o.image_set_id,
            o.version,
            o.is_primary,
            o.message,
        )
        for o in outcomes
    ]


def record_outcomes(catalogue: Catalogue, job_id: str, outcomes: Iterable[FileOutcome]) -> None:
    """Outcomes of files that changed no image set."""
    with catalogue.transaction() as connection:
        connection.executemany(INSERT_OUTCOME, outcome_rows(job_id, outcomes))


INSERT_OUTCOME = "INSERT OR REPLACE INTO job_file VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def outcomes_of(catalogue: Catalogue, job_id: str) -> list[FileOutcome]:
    """All outcomes so far, in path order."""
    rows = catalogue.all("SELECT * FROM job_file WHERE job_id = ? ORDER BY path", (job_id,))
    return [
        FileOutcome(
            path=os.fsdecode(row["path"]),
            outcome=row["outcome"],
            instance_uid=row["instance_uid"],
            image_set_id=row["image_set_id"],
            version=row["version"],
            is_primary=None if row["is_primary"] is None else bool(row["is_primary"]),
            message=row["message"],
        )
        for row in rows
    ]
