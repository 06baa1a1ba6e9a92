"""Fills a demo: import jobs into the emulator, followed to their end, and their image sets into the index."""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import tzinfo
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import urllib3

from dicomweb_gateway.errors import GatewayError
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.progress import Progress, clear_progress, write_progress
from dicomweb_gateway.workflow.samples import sample_folders
from dicomweb_gateway.workflow.sync import Synchroniser

_STORE_NAME = "demo"
_ROLE = "arn:aws:iam::123456789012:role/demo"
_POLL_SECONDS = 0.5
_SYNC_SECONDS = 4.0
_START_SECONDS = 60.0
_REASONS_SHOWN = 12
_SHOWN_LENGTH = 150
_PATH = re.compile(r"/[^\s,]+")
"""Reasons that differ only in the file they name count as one; the whole list has the names."""


class Loader:
    """Imports into the emulator at `endpoint` what is new, and keeps the index at `index_url` beside it.

    `zone` is the time zone of moments in data that names none.
    """

    def __init__(self, endpoint: str, region: str, index_url: str, data_dir: Path, zone: tzinfo) -> None:
        self._endpoint = endpoint
        self._data_dir = data_dir
        wait_for_emulator(endpoint)
        self._jobs = ImportJobs(endpoint, region)
        self._datastore_id = self._jobs.ensure_data_store(_STORE_NAME)
        self._index = IndexWriter(index_url, zone)
        self._synchroniser = Synchroniser(self._index, HealthImaging(endpoint, region))

    def run(self, sources: Sequence[Path], samples: Sequence[str] = ()) -> str:
        """Import `sources` and `samples`, some samples when both are empty; what came of it, for people."""
        report = Report(self._data_dir / "import-report.txt")
        for folder in self._input_folders(sources, samples):
            self._import(folder, report)
        self._synchroniser.data_store(self._datastore_id)
        clear_progress(self._data_dir)
        return report.text(self._index.counts())

    def _input_folders(self, sources: Sequence[Path], samples: Sequence[str]) -> list[Path]:
        """Folders to import; single files come through a folder of links to them."""
        chosen = sample_folders(self._data_dir / "samples", samples) if samples or not sources else []
        folders = [path for path in sources if path.is_dir()]
        files = [path for path in sources if path.is_file()]
        linked = [_linked(files, self._data_dir / "linked-files")] if files else []
        return [*chosen, *folders, *linked]

    def _import(self, folder: Path, report: "Report") -> None:
        """One job; studies can be found as soon as their image sets are there."""
        print(f"importing {folder}", flush=True)
        token = sha256(f"{folder}{time.time_ns()}".encode()).hexdigest()[:32]
        output = self._data_dir / "jobs"
        output.mkdir(exist_ok=True)
        job = self._jobs.start(self._datastore_id, f"{folder.as_uri()}/", f"{output.as_uri()}/", _ROLE, token)
        meter = Meter()
        synchronised_at = time.monotonic()
        while not job.has_ended:
            time.sleep(_POLL_SECONDS)
            progress = self._progress(job.job_id)
            write_progress(self._data_dir, Progress(progress.get("done", 0), progress.get("total", 0)))
            meter.show(progress)
            if time.monotonic() - synchronised_at > _SYNC_SECONDS:
                self._synchroniser.data_store(self._datastore_id)
                synchronised_at = time.monotonic()
            job = self._jobs.look(job)
        progress = self._progress(job.job_id)
        meter.finish(progress)
        if job.status == "FAILED":
            print(f"the import of {folder} failed: {job.message or 'see the log'}", flush=True)
        report.read(Path(job.output_uri.removeprefix("file://")), progress)

    def _progress(self, job_id: str) -> dict[str, Any]:
        """The job in numbers of files, from the emulator's side route; empty when it does not answer."""
        try:
            answer = urllib3.request("GET", f"{self._endpoint}/_emulator/jobs/{job_id}", timeout=10)
            found: dict[str, Any] = orjson.loads(answer.data)
            return found
        except (urllib3.exceptions.HTTPError, ValueError):
            return {}


class Meter:
    """Progress: one rewritten line on a terminal, a plain line now and then in a log."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._said_at = time.monotonic()

    def show(self, progress: dict[str, Any]) -> None:
        """Show how far the job is."""
        if not progress.get("total"):
            return
        if self._live:
            print(f"\r{_figures(progress)}", end="", flush=True)
        elif time.monotonic() - self._said_at > 5:
            self._said_at = time.monotonic()
            print(_figures(progress), flush=True)

    def finish(self, progress: dict[str, Any]) -> None:
        """Close the line."""
        print(f"{chr(13) if self._live else ''}{_figures(progress)}", flush=True)


class Report:
    """What was loaded and what was left out and why; the whole list goes to the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left_out: list[tuple[str, str]] = []
        self._noted: list[tuple[str, str]] = []
        self._counts: Counter[str] = Counter()

    def read(self, output: Path, progress: dict[str, Any]) -> None:
        """Add one job: its logs below `output` (healthimaging.md 4.1) and its figures."""
        self._counts.update({k: v for k, v in progress.items() if isinstance(v, int)})
        for entry in _ndjson(output / "FAILURE" / "failure.ndjson"):
            reason = entry.get("exception", {}).get("message", "unknown reason")
            self._left_out.append((entry.get("inputFile", ""), reason))
        for entry in _ndjson(output / "WARNING" / "warning.ndjson"):
            for warning in entry.get("importResponse", {}).get("warnings", []):
                self._noted.append((entry.get("inputFile", ""), warning.get("message", "")))

    def text(self, counts: dict[str, int]) -> str:
        """The summary for people, `counts` being what the index holds; writes the whole list."""
        entries = [f"{reason}\t{path}" for path, reason in self._left_out + self._noted]
        self._path.write_text("".join(f"{entry}\n" for entry in entries))
        held = ", ".join(f"{number} {name}" for name, number in counts.items())
        new, unchanged = self._counts["imported"], self._counts["unchanged"]
        lines = ["", f"loaded: {held}", f"        {new} files imported now, {unchanged} unchanged"]
        lines += _summary("left out", self._left_out) + _summary("noted", self._noted)
        return "\n".join([*lines, *([f"whole list: {self._path}"] if entries else [])])


def _figures(progress: dict[str, Any]) -> str:
    return f"  {progress.get('done', 0)} of {progress.get('total', 0)} files  "


def _summary(title: str, entries: list[tuple[str, str]]) -> list[str]:
    if not entries:
        return []
    reasons = Counter(_PATH.sub("...", reason) for _, reason in entries).most_common()
    shown = [f"  {count:5d}  {reason[:_SHOWN_LENGTH]}" for reason, count in reasons[:_REASONS_SHOWN]]
    rest = len(reasons) - len(shown)
    return [
        f"{title}: {len(entries)} files",
        *shown,
        *([f"         and {rest} more reasons"] if rest else []),
    ]


def _linked(files: Sequence[Path], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in files:
        link = folder / f"{sha256(os.fsencode(path)).hexdigest()[:16]}-{path.name}"
        with suppress(FileExistsError):
            link.symlink_to(path)
    return folder


def _ndjson(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def wait_for_emulator(endpoint: str) -> None:
    """Return when the emulator at `endpoint` answers; GatewayError when it does not come."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(urllib3.exceptions.HTTPError):
            answer = urllib3.request("GET", f"{endpoint}/_emulator/health", timeout=2, retries=False)
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise GatewayError("the emulator did not start")
