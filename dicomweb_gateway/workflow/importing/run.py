"""One import from its files to its indexed image sets, which goes on where an earlier try broke off.

Every step can be done twice without harm, and is noted in the ledger when it is done: files lie under names
of their own, a job has one client token and one name (healthimaging.md 4.1), and logs are read, image sets
indexed and objects deleted as often as one likes.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from dicomweb_gateway.dicom.found_files import FoundFile
from dicomweb_gateway.errors import BucketError, ImportTrouble, UpstreamError
from dicomweb_gateway.imagesets.import_jobs import ImportJob, ImportJobs
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.workflow.importing.config import ImportConfig
from dicomweb_gateway.workflow.importing.job_logs import read_logs
from dicomweb_gateway.workflow.importing.ledger import (
    ATTEMPTED,
    CLEARED,
    ENDED,
    FILLING,
    INDEXED,
    READ,
    STAGED,
    STARTED,
    Batch,
    FileRow,
    Ledger,
)
from dicomweb_gateway.workflow.importing.report import ImportReport
from dicomweb_gateway.workflow.importing.scan import Checked, checked_files, found_files, shared_out
from dicomweb_gateway.workflow.importing.staging import JobOutput, Staging
from dicomweb_gateway.workflow.importing.trying import may_pass
from dicomweb_gateway.workflow.importing.uploading import stage
from dicomweb_gateway.workflow.importing.verdicts import COMPLETED, verdicts
from dicomweb_gateway.workflow.steps import Listener, Progress, silent

Result = TypeVar("Result")


class ImportRun:
    """Runs imports; `index` makes an image set findable, None: that is left to others.

    `folder` is for the locks that keep two of us off the same files. `listener` is told of every step; what
    it raises ends the run, as anything else may.
    """

    def __init__(
        self,
        ledger: Ledger,
        staging: Staging,
        output: JobOutput,
        jobs: ImportJobs,
        config: ImportConfig,
        folder: Path,
        index: Callable[[ImageSetRef], str | None] | None = None,
        listener: Listener = silent,
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._output = output
        self._jobs = jobs
        self._config = config
        self._folder = folder
        self._index = index
        self._tell = listener
        self._index_failures: dict[str, str] = {}

    def run(self, sources: Sequence[Path], run: str | None = None) -> ImportReport:
        """Import what lies at `sources`, or go on with that; `run` names a run, else it is the open one.

        Raises BucketError, UpstreamError and ImportTrouble where it cannot go on, OSError of this machine's
        files; all that was done by then is kept.
        """
        target = f"{self._config.datastore_id} {self._staging.name}"
        run = self._ledger.open_run(target, sorted({str(source.absolute()) for source in sources}), run)
        with self._alone(run):
            if not self._ledger.is_scanned(run):
                self._scan(run, target, sources)
            for batch in self._ledger.batches(run):
                while batch.state < STARTED:
                    batch = self._advanced(run, batch)
            for batch in self._ledger.batches(run):
                while batch.state < CLEARED:
                    batch = self._advanced(run, batch)
            self._ledger.end_run(run)
        self._tell(Progress("done", quiet=True))
        return ImportReport.of(self._ledger, run, self._index_failures)

    def _advanced(self, run: str, batch: Batch) -> Batch:
        """The batch one step further, which the ledger knows of."""
        steps = {
            FILLING: self._fill,
            ATTEMPTED: self._start,
            STARTED: self._follow,
            ENDED: self._read,
            READ: self._make_findable,
            INDEXED: self._clear,
        }
        return steps[batch.state](run, batch)

    def _scan(self, run: str, target: str, sources: Sequence[Path]) -> None:
        files = found_files(sources)

        def is_known(file: FoundFile) -> bool:
            before = self._ledger.done_before
            return not self._config.again and before(target, file.path, file.size, file.mtime_ns)

        def told() -> Iterator[Checked]:
            for done, found in enumerate(checked_files(files, is_known, self._config.space), 1):
                self._tell(Progress("checking", done, len(files), "files"))
                yield found

        rows = shared_out(told(), self._config.batch_files, self._config.batch_bytes)
        self._ledger.scanned(run, rows)
        self._tell(Progress("checked", quiet=True))

    def _fill(self, run: str, batch: Batch) -> Batch:
        self._wait_for_room(run)
        rows = list(self._ledger.files(run, batch.number))
        count = {"done": sum(row.state != "waiting" for row in rows), "size": 0}

        def note(done: list[FileRow]) -> None:
            self._ledger.put(run, done)
            count["done"] += len(done)
            count["size"] += sum(row.size for row in done)
            told = Progress("staging", count["done"], len(rows), "files", count["size"], self._of(run, batch))
            self._tell(told)

        stage(self._staging, _input(run, batch), rows, self._config.workers, note, self._config.space)
        staged = any(row.state == STAGED for row in self._ledger.files(run, batch.number))
        return self._put(run, replace(batch, state=ATTEMPTED if staged else CLEARED))

    def _start(self, run: str, batch: Batch) -> Batch:
        name = f"import-{run}-{batch.number}"
        self._tell(Progress("starting", note=self._of(run, batch)))
        job = self._patiently(partial(self._jobs.named, self._config.datastore_id, name))
        if job is None:
            job = self._patiently(
                partial(
                    self._jobs.start,
                    self._config.datastore_id,
                    self._staging.input_uri(_input(run, batch)),
                    self._staging.output_uri(run),
                    self._config.role_arn,
                    sha256(name.encode()).hexdigest()[:32],
                    name,
                )
            )
        self._tell(Progress("started", note=f"job {job.job_id}"))
        return self._put(run, replace(batch, state=STARTED, job_id=job.job_id))

    def _follow(self, run: str, batch: Batch) -> Batch:
        began = time.monotonic()
        patience = self._config.wait_seconds
        while True:
            job = self._patiently(partial(self._jobs.look, self._job(batch)))
            self._tell(Progress("importing", note=f"job {job.job_id} {job.status} ({self._of(run, batch)})"))
            if job.has_ended:
                ended = replace(
                    batch, state=ENDED, status=job.status, output=job.output_uri, message=job.message
                )
                return self._put(run, ended)
            if patience is not None and time.monotonic() - began > patience:
                raise ImportTrouble(
                    f"job {job.job_id} is still {job.status} after {patience:g} s; "
                    "the same command goes on with it"
                )
            time.sleep(self._config.poll)

    def _read(self, run: str, batch: Batch) -> Batch:
        read = partial(self._output.read, batch.output or "")
        logs = self._patiently(lambda: read_logs(read, required=batch.status == COMPLETED))
        rows = verdicts(list(self._ledger.files(run, batch.number)), logs, batch)
        done = replace(batch, state=READ, image_sets=logs.image_sets)
        self._ledger.put_batch(run, done, rows)
        self._tell(Progress("read", quiet=True))
        return done

    def _make_findable(self, run: str, batch: Batch) -> Batch:
        for number, (image_set_id, _) in enumerate(batch.image_sets if self._index else (), 1):
            # the latest version: others may have changed it meanwhile
            failure = (
                self._index(ImageSetRef(self._config.datastore_id, image_set_id)) if self._index else None
            )
            if failure is not None:
                self._index_failures[image_set_id] = failure
            self._tell(Progress("indexing", number, len(batch.image_sets), "image sets"))
        return self._put(run, replace(batch, state=INDEXED))

    def _clear(self, run: str, batch: Batch) -> Batch:
        if self._config.delete_staged:
            self._tell(Progress("deleting staged files", note=self._of(run, batch)))
            self._staging.clear(_input(run, batch))
        return self._put(run, replace(batch, state=CLEARED))

    def _put(self, run: str, batch: Batch) -> Batch:
        self._ledger.put_batch(run, batch)
        self._tell(Progress("noted", quiet=True))
        return batch

    def _wait_for_room(self, run: str) -> None:
        """HealthImaging runs 100 jobs at once (1.6), and others want some of them."""
        while True:
            running = [batch for batch in self._ledger.batches(run) if batch.state == STARTED]
            if len(running) < self._config.jobs_at_once:
                return
            self._follow(run, running[0])

    def _job(self, batch: Batch) -> ImportJob:
        return ImportJob(self._config.datastore_id, batch.job_id or "", "", "")

    def _of(self, run: str, batch: Batch) -> str:
        return f"batch {batch.number} of {len(self._ledger.batches(run))}"

    def _patiently(self, ask: Callable[[], Result]) -> Result:
        """What `ask` gives, tried again as often and as far apart as the config says.

        What cannot pass comes through at once (trying.py).
        """
        for tries in range(1, self._config.tries):
            try:
                return ask()
            except (UpstreamError, BucketError, ImportTrouble) as error:
                if not may_pass(error):
                    raise
                self._tell(Progress("waiting", note=f"try {tries} of {self._config.tries}: {error}"))
                time.sleep(self._config.pause)
        return ask()

    @contextmanager
    def _alone(self, run: str) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{run}.lock"
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ImportTrouble("another import of these files is running") from None
            yield
            path.unlink(missing_ok=True)


def _input(run: str, batch: Batch) -> str:
    return f"{run}/input/{batch.number:05d}"
