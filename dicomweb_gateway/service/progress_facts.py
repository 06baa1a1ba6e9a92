"""What the status page tells of import jobs and of the indexer."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from dicomweb_gateway.imagesets.job_list import JobList, ListedJob, newest
from dicomweb_gateway.index.ledger import Failure, SyncRun

MOST_JOBS = 20
MOST_FAILURES = 20
_MOST_STORES = 10


def job_facts(jobs: JobList, data_stores: Callable[[], Iterable[str]]) -> dict[str, Any]:
    """The last import jobs of the first ten of the data stores that are served; UpstreamError."""
    found: list[ListedJob] = []
    for datastore_id in sorted(data_stores())[:_MOST_STORES]:
        found += jobs.latest(datastore_id, MOST_JOBS)
    return {
        "jobs": [
            {
                "job": job.job_id,
                "name": job.name,
                "status": job.status,
                "submitted": _moment(job.submitted_at),
                "ended": _moment(job.ended_at),
                "data_store": job.datastore_id,
            }
            for job in newest(found, MOST_JOBS)
        ]
    }


def indexer_facts(
    runs: Callable[[], Iterable[SyncRun]],
    failures: Callable[[], Iterable[Failure]],
    allowed: frozenset[str] | None,
) -> dict[str, Any]:
    """The last synchronisation of each data store and what could not be indexed; IndexUnavailable.

    `lag_seconds`: the index holds what HealthImaging had so long ago, as far as synchronising goes; None
    where the last run is not over.
    """
    now = datetime.now(UTC)
    failed = [one for one in failures() if allowed is None or one.datastoreid in allowed]
    return {
        "syncs": [
            {
                "data_store": run.datastoreid,
                "began": _moment(run.started_at),
                "ended": _moment(run.completed_at),
                "lag_seconds": None
                if run.completed_at is None
                else max(0, round((now - run.started_at.replace(tzinfo=UTC)).total_seconds())),
                "indexed": run.indexed,
                "unchanged": run.unchanged,
                "removed": run.removed,
                "failed": run.failed,
            }
            for run in runs()
            if allowed is None or run.datastoreid in allowed
        ],
        "failures": len(failed),
        "failing": [
            {
                "data_store": one.datastoreid,
                "image_set": one.imagesetid,
                "attempts": one.attempts,
                "last": _moment(one.last_at),
                "reason": one.reason,
            }
            for one in failed[:MOST_FAILURES]
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    """In ISO 8601 and UTC, to the second; the index keeps its moments without a zone."""
    if moment is None:
        return None
    known = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{known:%Y-%m-%dT%H:%M:%SZ}"
