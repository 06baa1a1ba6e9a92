"""Imports through S3 and through folders into the emulator, broken off anywhere and gone on with."""

import json
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dicomweb_gateway.aws.buckets import Buckets
from dicomweb_gateway.errors import BucketError, ImportTrouble, UpstreamFailed, UpstreamInvalid
from dicomweb_gateway.imagesets.aws_errors import of_answer
from dicomweb_gateway.imagesets.import_jobs import ImportJob, ImportJobs
from dicomweb_gateway.workflow.importing.config import ImportConfig
from dicomweb_gateway.workflow.importing.ledger import Ledger
from dicomweb_gateway.workflow.importing.report import write_file_report
from dicomweb_gateway.workflow.importing.run import ImportRun
from dicomweb_gateway.workflow.importing.staging import BucketStaging, FolderStaging, JobOutput
from tests.buckets import aws_server, bucket, buckets
from tests.emulator.files import ct_slice, save
from tests.emulator.running import ROLE, RunningEmulator, instances_of, running

__all__ = ["aws_server", "bucket", "buckets"]

SERIES, SLICES = 3, 4


class Stopped(Exception):
    """Stands for whatever ends an import: the process is gone, its files stay."""


@dataclass
class Bench:
    """An emulator with S3, a folder of files, and imports of it that share one ledger."""

    folder: Path
    emulator: RunningEmulator
    buckets: Buckets
    bucket: str
    client: ImportJobs
    store: str
    told: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    stop_at: int | None = None

    @property
    def source(self) -> Path:
        return self.folder / "in"

    def run(self, *, links: bool = False, jobs: Any = None, index: Any = None, **changes: Any) -> Any:
        config = ImportConfig(self.store, ROLE, workers=2, batch_files=5, pause=0.01, poll=0.02, tries=3)
        staging: Any = BucketStaging(self.buckets, self.bucket, "/staged//")
        if links:
            staging = FolderStaging(self.folder / "links")
        ledger = Ledger(self.folder / "ledger.sqlite")
        importer = ImportRun(
            ledger,
            staging,
            JobOutput(self.buckets),
            jobs or self.client,
            replace(config, **changes),
            self.folder / "locks",
            index or self.index,
            self.listen,
        )
        try:
            report = importer.run([self.source])
            write_file_report(ledger, report.run, self.folder / "files.ndjson")
            self.lines = list(report.lines(ledger))
            return report
        finally:
            ledger.close()

    def index(self, ref: Any) -> str | None:
        self.indexed.append(ref.image_set_id)
        return None

    def listen(self, progress: Any) -> None:
        if progress.phase == "importing":
            # how often one looks after a job is a matter of time
            return
        self.told.append(progress.phase)
        if len(self.told) == self.stop_at:
            raise Stopped

    def jobs(self) -> list[dict[str, Any]]:
        found = self.emulator.client.list_dicom_import_jobs(datastoreId=self.store)
        return list(found["jobSummaries"])

    def image_sets(self) -> dict[str, int]:
        """Version by image set."""
        return {row["imageSetId"]: row["version"] for row in self.emulator.image_sets(self.store)}

    def instances(self) -> list[str]:
        documents = (self.emulator.document(self.store, one) for one in self.image_sets())
        return sorted(uid for document in documents for uid in instances_of(document))

    def files(self) -> dict[str, tuple[str, str]]:
        rows = map(json.loads, (self.folder / "files.ndjson").read_text().splitlines())
        return {Path(row["path"]).name: (row["state"], row["reason"]) for row in rows}


@pytest.fixture(scope="module")
def emulator(aws_server, tmp_path_factory):
    with running(tmp_path_factory.mktemp("imports"), workers=1, s3_endpoint=aws_server) as made:
        yield made


@pytest.fixture(scope="module")
def client(emulator):
    made = ImportJobs(emulator.url, "us-east-1")
    yield made
    made.close()


@pytest.fixture
def bench(emulator, buckets, bucket, client, tmp_path):
    for series in range(1, SERIES + 1):
        for number in range(1, SLICES + 1):
            save(ct_slice(number, series, size=16), tmp_path / "in" / f"s{series}" / str(number))
    return Bench(tmp_path, emulator, buckets, bucket, client, emulator.datastore())


def spoil(bench: Bench) -> None:
    (bench.source / "notes.txt").write_text("nothing here\n" * 30)
    whole = save(ct_slice(9), bench.source / "cut.dcm").read_bytes()
    (bench.source / "cut.dcm").write_bytes(whole[:-100])
    # what no look at the file shows: HealthImaging refuses it
    save(ct_slice(1, 8, Rows=8, Columns=8, BitsAllocated=24), bench.source / "odd.dcm")


def test_files_come_in_and_each_that_does_not_has_its_reason(bench):
    spoil(bench)
    report = bench.run()
    assert (report.imported, report.left_out, report.refused, report.failed) == (12, 1, 1, 1)
    assert not report.is_fine
    assert len(bench.instances()) == 12
    assert set(bench.indexed) == set(bench.image_sets()) == set(report.image_sets)
    files = bench.files()
    assert set(files) == {"notes.txt", "cut.dcm", "odd.dcm"}
    assert files["notes.txt"][0] == "left out"
    assert "ends inside element (7FE0,0010)" in files["cut.dcm"][1]
    assert files["odd.dcm"][1].startswith("ValidationException: ")
    assert "12 files imported into 3 image sets, 0 unchanged, 1 are no DICOM, 2 failed" in bench.lines[0]
    # every file of a job is one of its own, and none has a name of this machine
    keys = [one.key for one in bench.buckets.objects(bench.bucket, "staged/") if "/input/" in one.key]
    assert len(keys) == 13
    assert all(key.rpartition("/")[2].removesuffix(".dcm").isdigit() for key in keys)


def test_links_serve_where_there_is_no_bucket(bench):
    twin = bench.source / "twin of mine"
    twin.write_bytes((bench.source / "s1" / "1").read_bytes())
    report = bench.run(links=True, delete_staged=True)
    assert (report.imported, report.noted, report.is_fine) == (13, 1, True)
    # one that comes twice is told of by the path that people know, not by where it was staged
    ((name, (_, reason)),) = bench.files().items()
    other = {"1": twin, twin.name: bench.source / "s1" / "1"}[name]
    assert f"same SOP Instance UID as {other}," in reason
    assert not list((bench.folder / "links").rglob("*.dcm"))


def test_what_is_in_is_left_alone_unless_it_changed_or_is_asked_for(bench):
    bench.run()
    versions = bench.image_sets()
    jobs = len(bench.jobs())
    report = bench.run()
    assert (report.imported, report.unchanged) == (0, 12)
    assert (bench.image_sets(), len(bench.jobs())) == (versions, jobs)
    save(ct_slice(1, 1, size=16, PatientComments="changed"), bench.source / "s1" / "1")
    report = bench.run()
    assert (report.imported, report.unchanged) == (1, 11)
    assert sum(bench.image_sets().values()) == sum(versions.values()) + 1
    assert bench.run(again=True).imported == 12


def test_staged_files_are_deleted_when_that_is_asked(bench):
    bench.run(delete_staged=True)
    left = [one.key for one in bench.buckets.objects(bench.bucket, "")]
    assert left
    assert all("/output/" in key for key in left)


def test_broken_off_anywhere_nothing_is_lost_or_doubled(bench):
    spoil(bench)
    bench.told.clear()
    whole = bench.run(delete_staged=True)
    versions, steps = sorted(bench.image_sets().values()), len(bench.told)
    chances = random.Random(20240311)
    broken = 0
    for stop in sorted(chances.sample(range(1, steps - 8), 10)):
        bench.store = bench.emulator.datastore()
        bench.told, bench.indexed, bench.stop_at = [], [], stop
        with suppress(Stopped):
            bench.run(delete_staged=True)
        broken += len(bench.told) == stop
        # a second time, a little later
        bench.told, bench.stop_at = [], chances.randint(1, 6)
        with suppress(Stopped):
            bench.run(delete_staged=True)
        bench.told, bench.stop_at = [], None
        report = bench.run(delete_staged=True)
        assert (report.imported, report.refused, report.failed) == (12, whole.refused, whole.failed), stop
        assert sorted(bench.image_sets().values()) == versions, stop
        assert len(bench.instances()) == 12
        assert set(bench.indexed) == set(bench.image_sets())
        assert len(bench.jobs()) == len(report.jobs) == len(whole.jobs)
        staged = [one.key for one in bench.buckets.objects(bench.bucket, f"staged/{report.run}/input/")]
        assert staged == []
    assert broken == 10


class Lost(ImportJobs):
    """The answer to a start is lost on its way."""

    lost = 0

    def start(self, *arguments: Any, **more: Any) -> ImportJob:
        job = super().start(*arguments, **more)
        if self.lost:
            self.lost -= 1
            raise UpstreamFailed("the connection was cut")
        return job


def test_a_start_whose_answer_is_lost_starts_no_second_job(bench):
    jobs = Lost(bench.emulator.url, "us-east-1")
    jobs.lost = 2
    try:
        report = bench.run(jobs=jobs, batch_files=5000)
    finally:
        jobs.close()
    assert report.imported == 12
    assert len(bench.jobs()) == 1


def test_a_start_that_is_refused_for_good_leaves_all_for_another_run(bench):
    bench.emulator.side(
        "PUT", "faults", json={"failure_rate": 1.0, "failure_operations": ["StartDICOMImportJob"]}
    )
    try:
        with pytest.raises(UpstreamFailed, match="StartDICOMImportJob"):
            bench.run()
    finally:
        bench.emulator.side("PUT", "faults", json={"failure_rate": 0.0, "failure_operations": []})
    assert bench.told.count("waiting") == 2
    assert bench.run().imported == 12


class Malformed(ImportJobs):
    """HealthImaging finds what it is asked malformed, however often."""

    starts = 0

    def start(self, *arguments: Any, **more: Any) -> ImportJob:
        self.starts += 1
        raise of_answer("StartDICOMImportJob", 400, "ValidationException")


def test_what_is_malformed_is_not_tried_again(bench):
    jobs = Malformed(bench.emulator.url, "us-east-1")
    try:
        with pytest.raises(UpstreamInvalid, match="400 ValidationException"):
            bench.run(jobs=jobs)
    finally:
        jobs.close()
    assert jobs.starts == 1
    assert "waiting" not in bench.told


class NeverEnds(ImportJobs):
    """Jobs of which nothing but their progress is heard."""

    def look(self, job: ImportJob) -> ImportJob:
        return replace(super().look(job), status="IN_PROGRESS")


def test_a_job_that_does_not_end_is_given_up_and_can_be_followed_again(bench):
    jobs = NeverEnds(bench.emulator.url, "us-east-1")
    try:
        with pytest.raises(ImportTrouble, match="goes on with it"):
            bench.run(jobs=jobs, wait_seconds=0)
    finally:
        jobs.close()
    started = len(bench.jobs())
    assert bench.run().imported == 12
    assert len(bench.jobs()) == started


def test_a_job_that_fails_fails_its_files_and_a_further_run_takes_them_again(bench):
    class Wrong(ImportJobs):
        def start(self, datastore_id: str, input_uri: str, *rest: Any, **more: Any) -> ImportJob:
            return super().start(datastore_id, "s3://no-such-bucket-at-all/in/", *rest, **more)

    jobs = Wrong(bench.emulator.url, "us-east-1")
    try:
        report = bench.run(jobs=jobs, batch_files=5000)
    finally:
        jobs.close()
    assert (report.imported, report.failed) == (0, 12)
    assert "the import job failed" in next(iter(bench.files().values()))[1]
    assert bench.run().imported == 12


def test_a_bucket_that_refuses_ends_the_run_and_keeps_it(bench):
    name, bench.bucket = bench.bucket, "no-such-bucket-of-ours"
    with pytest.raises(BucketError, match="NoSuchBucket"):
        bench.run()
    bench.bucket = name
    assert bench.run().imported == 12


def test_an_image_set_that_cannot_be_indexed_is_told_of(bench):
    report = bench.run(index=lambda ref: "the metadata is nonsense")
    assert (report.imported, report.is_fine) == (12, False)
    assert set(report.index_failures) == set(bench.image_sets())


def test_a_file_that_changes_after_it_was_checked_is_checked_again(bench):
    def spoil_one(progress: Any) -> None:
        if progress.phase == "checked":
            whole = (bench.source / "s1" / "1").read_bytes()
            (bench.source / "s1" / "1").write_bytes(whole[:-20])
            (bench.source / "s1" / "2").unlink()
            save(ct_slice(3, 1, size=32), bench.source / "s1" / "3")

    bench.listen = spoil_one  # type: ignore[method-assign]
    report = bench.run()
    assert (report.imported, report.refused, report.failed) == (10, 1, 1)
    assert bench.files()["2"] == ("failed", "the file cannot be read: No such file or directory")


def test_a_source_that_is_not_there_is_said(bench):
    bench.source.rename(bench.folder / "elsewhere")
    with pytest.raises(ImportTrouble, match="does not exist"):
        bench.run()
