"""Runs import jobs, one after the other, in one thread beside the server; the work is done by processes."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from dicomweb_gateway.dicom.found_files import FoundFile
from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL, J2K_LOSSLESS
from dicomweb_gateway.emulator.background import Background
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.config import J2K_STORAGE, EmulatorConfig
from dicomweb_gateway.emulator.events import Events
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.joblogs import log_files
from dicomweb_gateway.emulator.ingest.places import Places, Source
from dicomweb_gateway.emulator.ingest.plan import Group, plan_groups
from dicomweb_gateway.emulator.ingest.pool import WorkerPool
from dicomweb_gateway.emulator.ingest.progress import JobProgress
from dicomweb_gateway.emulator.ingest.publish import publish
from dicomweb_gateway.emulator.ingest.reading import Identity
from dicomweb_gateway.emulator.ingest.tasks import Died, IdentifyTask, ImportTask, Refusal, Task
from dicomweb_gateway.emulator.jobs import (
    BROKE,
    COMPLETED,
    FAILED,
    IMPORTED,
    IN_PROGRESS,
    REFUSED,
    SKIPPED,
    SUBMITTED,
    UNCHANGED,
    FileOutcome,
    next_job,
    outcomes_of,
    record_outcomes,
    set_status,
)
from dicomweb_gateway.emulator.storage import Storage

_CHUNK = 32
_IDLE_WAIT = 1.0
_WORKERS_STAY = 5.0
"""Seconds that import processes are kept for a next job: starting them takes longer than a small one."""

log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The emulator is going down; the job stays IN_PROGRESS and goes on at the next start."""


@dataclass(slots=True)
class _Collected:
    """What has come back of one group so far."""

    group: Group
    missing: int
    imported: dict[str, ImportedInstance] = field(default_factory=dict)


class Importer(Background):
    """The thread that takes jobs from the catalogue; `wake` tells it that there is one."""

    def __init__(self, storage: Storage, config: EmulatorConfig, events: Events, places: Places) -> None:
        super().__init__("importer")
        self._storage = storage
        self._events = events
        self._places = places
        self._skip_unchanged = config.skip_unchanged
        self._pool = WorkerPool(config.workers)
        self._busy_at = 0.0
        self._progress: dict[str, JobProgress] = {}

    def progress(self, job_id: str) -> JobProgress | None:
        """How far a job of this life is, None for all others."""
        return self._progress.get(job_id)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._wake.clear()
                if not self._step():
                    self._wake.wait(_IDLE_WAIT)
        finally:
            self._pool.close()

    def _step(self) -> bool:
        """Run the next job; whether there was one. A catalogue that fails now is asked again later."""
        try:
            job = next_job(self._storage.catalogue)
            if job is not None:
                self._run_job(job)
                self._busy_at = time.monotonic()
                return True
        except Exception:
            log.exception("the import jobs cannot be read or written")
        if time.monotonic() - self._busy_at > _WORKERS_STAY:
            self._pool.close()
        return False

    def _run_job(self, job: Row) -> None:
        catalogue = self._storage.catalogue
        progress = self._progress[job["id"]] = JobProgress()
        try:
            if job["status"] == SUBMITTED:
                self._events.job("Submitted", job)
            set_status(catalogue, job["id"], IN_PROGRESS)
            self._events.job("In Progress", job)
            source = self._places.source(job, self._require_running)
            self._import(job, source, progress)
            outcomes = [source.told(outcome) for outcome in outcomes_of(catalogue, job["id"])]
            self._places.write_logs(job, log_files(job, outcomes))
            set_status(catalogue, job["id"], COMPLETED)
            self._events.job("Completed", job)
        except _Stopped:
            return
        except Exception as error:
            log.exception("import job %s failed", job["id"])
            set_status(catalogue, job["id"], FAILED, f"{type(error).__name__}: {error}")
            self._events.job("Failed", job)
        self._places.forget(job)

    def _import(self, job: Row, source: Source, progress: JobProgress) -> None:
        before = outcomes_of(self._storage.catalogue, job["id"])
        finished = {outcome.path for outcome in before}
        progress.begin(len(source.files))
        progress.count(before)
        todo = [file for file in source.files if file.path not in finished]
        skips_unchanged = self._skip_unchanged and source.is_local
        if skips_unchanged:
            todo = self._without_unchanged(job, todo, progress)
        identified = self._identify(job, todo, progress)
        taken = {o.instance_uid: o.path for o in before if o.outcome == IMPORTED and o.instance_uid}
        if skips_unchanged:
            taken = {**self._owners(job["datastore_id"], identified), **taken}
        plan = plan_groups(identified, taken)
        self._record_skipped(job, plan.skipped, {file.path: file for file in todo}, progress)
        self._import_groups(job, plan.groups, progress)

    def _without_unchanged(self, job: Row, files: list[FoundFile], progress: JobProgress) -> list[FoundFile]:
        """Leave out files that the ledger knows as they are."""
        rows = self._storage.catalogue.all(
            "SELECT * FROM ledger WHERE datastore_id = ?", (job["datastore_id"],)
        )
        ledger = {os.fsdecode(row["path"]): row for row in rows}
        outcomes, changed = [], []
        for file in files:
            row = ledger.get(file.path)
            if row is None or (row["size"], row["mtime_ns"]) != (file.size, file.mtime_ns):
                changed.append(file)
            else:
                outcome = UNCHANGED if row["note"] is None else SKIPPED
                outcomes.append(
                    FileOutcome(
                        file.path, outcome, row["instance_uid"], row["image_set_id"], message=row["note"]
                    )
                )
        self._record(job, outcomes, progress)
        return changed

    def _identify(
        self, job: Row, files: list[FoundFile], progress: JobProgress
    ) -> list[tuple[FoundFile, Identity]]:
        """The identity of every file that is an instance; the others are recorded as refused."""
        by_path = {file.path: file for file in files}
        answers: dict[str, Identity | Refusal] = {}
        chunks: list[Task] = [
            IdentifyTask(tuple(file.path for file in files[start : start + _CHUNK]))
            for start in range(0, len(files), _CHUNK)
        ]
        alone: list[Task] = []
        for task, answer in self._pool.run(chunks, self._stop):
            if isinstance(task, IdentifyTask) and isinstance(answer, tuple):
                answers.update(zip(task.paths, answer, strict=True))
                progress.scanned += len(task.paths)
            elif isinstance(task, IdentifyTask):
                alone += [IdentifyTask((path,)) for path in task.paths]
        for task, answer in self._pool.run(alone, self._stop):
            if isinstance(task, IdentifyTask):
                reply = answer[0] if isinstance(answer, tuple) else Refusal(_reason(answer))
                answers[task.paths[0]] = reply
                progress.scanned += 1
        self._require_running()
        refused = [
            FileOutcome(path, REFUSED, message=answer.reason)
            for path, answer in answers.items()
            if isinstance(answer, Refusal)
        ]
        self._record(job, refused, progress)
        found = ((by_path[path], answers[path]) for path in by_path)
        return [(file, identity) for file, identity in found if isinstance(identity, Identity)]

    def _owners(self, datastore_id: str, identified: list[tuple[FoundFile, Identity]]) -> dict[str, str]:
        """SOP Instance UIDs that are stored from another path, where that is to stay so."""
        rows = self._storage.catalogue.all(
            "SELECT instance_uid, path FROM ledger WHERE datastore_id = ? AND note IS NULL", (datastore_id,)
        )
        wanted = {identity.instance_uid for _, identity in identified}
        return {
            row["instance_uid"]: os.fsdecode(row["path"]) for row in rows if row["instance_uid"] in wanted
        }

    def _record_skipped(
        self, job: Row, skipped: list[FileOutcome], files: dict[str, FoundFile], progress: JobProgress
    ) -> None:
        self._record(job, skipped, progress)
        rows = [
            (
                job["datastore_id"],
                os.fsencode(o.path),
                files[o.path].size,
                files[o.path].mtime_ns,
                o.instance_uid,
                "",
                o.message,
            )
            for o in skipped
        ]
        with self._storage.catalogue.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _import_groups(self, job: Row, groups: list[Group], progress: JobProgress) -> None:
        """Import and publish group by group, in their order, whichever is ready first."""
        collected = [_Collected(group, len(group.files)) for group in groups]
        group_of = {file.path: one for one in collected for file in one.group.files}
        waiting = iter(collected)
        current = next(waiting, None)
        for task, answer in self._pool.run(self._tasks(job, groups), self._stop):
            if not isinstance(task, ImportTask):
                continue
            one = group_of[task.path]
            one.missing -= 1
            if isinstance(answer, ImportedInstance):
                one.imported[task.path] = answer
            else:
                ours = isinstance(answer, Refusal) and answer.ours
                outcome = FileOutcome(task.path, BROKE if ours else REFUSED, message=_reason(answer))
                self._record(job, [outcome], progress)
            while current is not None and current.missing == 0:
                self._publish(job, current, progress)
                current = next(waiting, None)
        self._require_running()

    def _publish(self, job: Row, one: _Collected, progress: JobProgress) -> None:
        ready = [(file, one.imported[file.path]) for file in one.group.files if file.path in one.imported]
        one.imported = {}
        if ready:
            progress.count(publish(self._storage, self._events, job["id"], job["datastore_id"], ready))

    def _tasks(self, job: Row, groups: list[Group]) -> Iterator[Task]:
        lossless = lossless_syntax(self._storage, job["datastore_id"])
        for group in groups:
            for file in group.files:
                yield ImportTask(file.path, self._storage.frames, job["datastore_id"], lossless)

    def _record(self, job: Row, outcomes: list[FileOutcome], progress: JobProgress) -> None:
        if outcomes:
            record_outcomes(self._storage.catalogue, job["id"], outcomes)
            progress.count(outcomes)

    def _require_running(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def lossless_syntax(storage: Storage, datastore_id: str) -> str:
    """The transfer syntax in which a data store keeps lossless frames (healthimaging.md 2.7)."""
    row = storage.catalogue.one("SELECT storage_format FROM datastore WHERE id = ?", (datastore_id,))
    return J2K_LOSSLESS if row and row["storage_format"] == J2K_STORAGE else HTJ2K_LOSSLESS_RPCL


def _reason(answer: object) -> str:
    return answer.reason if isinstance(answer, Refusal | Died) else "the import process gave no usable answer"
