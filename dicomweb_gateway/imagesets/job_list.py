"""The latest import jobs of a data store, as HealthImaging lists them (healthimaging.md 4.1)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

_PAGE = 50
_MOST_PAGES = 4
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListedJob:
    """One job of the list; moments are None where HealthImaging names none."""

    datastore_id: str
    job_id: str
    name: str
    status: str
    submitted_at: datetime | None
    ended_at: datetime | None


class JobList:
    """Lists jobs; `asking` gives the SDK's client."""

    def __init__(self, asking: Callable[[str], AbstractContextManager[Any]]) -> None:
        self._asking = asking

    def latest(self, datastore_id: str, most: int) -> list[ListedJob]:
        """The `most` jobs that were submitted last, among the first 200 that are listed; UpstreamError."""
        with self._asking("ListDICOMImportJobs") as api:
            pages = api.get_paginator("list_dicom_import_jobs").paginate(
                datastoreId=datastore_id, PaginationConfig={"PageSize": _PAGE}
            )
            rows = [row for page in islice(pages, _MOST_PAGES) for row in page.get("jobSummaries") or ()]
        return newest([_listed(datastore_id, row) for row in rows], most)


def newest(jobs: list[ListedJob], most: int) -> list[ListedJob]:
    """The `most` of `jobs` that were submitted last, the last one first."""
    return sorted(jobs, key=lambda job: job.submitted_at or _NEVER, reverse=True)[:most]


def _listed(datastore_id: str, row: dict[str, Any]) -> ListedJob:
    return ListedJob(
        datastore_id,
        str(row.get("jobId") or ""),
        str(row.get("jobName") or ""),
        str(row.get("jobStatus") or ""),
        row.get("submittedAt"),
        row.get("endedAt"),
    )
