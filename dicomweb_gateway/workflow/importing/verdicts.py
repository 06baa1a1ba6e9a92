"""What became of each file of a batch, by the logs of its import job."""

from dataclasses import replace

from dicomweb_gateway.workflow.importing.job_logs import JobLogs
from dicomweb_gateway.workflow.importing.ledger import (
    FAILED,
    IMPORTED,
    NOTED,
    STAGED,
    UNCHANGED,
    Batch,
    FileRow,
)
from dicomweb_gateway.workflow.importing.naming import staged_name, with_own_names

COMPLETED = "COMPLETED"
_UNTOLD = "the logs of the import job do not tell of it"


def verdicts(files: list[FileRow], logs: JobLogs, batch: Batch) -> list[FileRow]:
    """Those of a batch's `files` that were staged, each in the state that the logs tell, and why.

    Of what HealthImaging has already it tells only the number: as many that are not told of are unchanged.
    """
    rows = with_own_names([_told(row, logs, batch) for row in files if row.state == STAGED], files)
    lost = [row for row in rows if row.state == FAILED and row.reason is None]
    if not lost:
        return rows
    state, reason = (UNCHANGED, None) if len(lost) <= logs.unchanged else (FAILED, _UNTOLD)
    return [replace(row, state=state, reason=reason) if row in lost else row for row in rows]


def _told(row: FileRow, logs: JobLogs, batch: Batch) -> FileRow:
    """What the logs say of a file; FAILED without a reason where they say nothing."""
    name = staged_name(row)
    if name in logs.failures:
        return replace(row, state=FAILED, reason=logs.failures[name])
    if name in logs.warnings:
        return replace(row, state=NOTED, reason=logs.warnings[name])
    if name in logs.imported:
        return replace(row, state=IMPORTED)
    if batch.status != COMPLETED:
        return replace(
            row, state=FAILED, reason=f"the import job failed: {batch.message or 'no reason given'}"
        )
    return replace(row, state=FAILED)
