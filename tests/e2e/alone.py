"""A file in a data store and an index of its own, served by the app in this process."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.settings import load_settings
from dicomweb_gateway.workflow.sync import Synchroniser
from tests.index_files import migrated_file

from .running import NO_AWS

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/test"
FETCHER = """
import sys
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher_process import run_fetcher
from dicomweb_gateway.frames.sockets import listen
run_fetcher(listen(sys.argv[1]), FetcherConfig(sys.argv[2], 1 << 30, 1 << 20, endpoint_url=sys.argv[3]))
"""


@contextmanager
def running_emulator(data: Path) -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, "-m", "dicomweb_gateway", "emulator", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **NO_AWS}
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def running_fetcher(emulator: str, cache: Path) -> Iterator[tuple[str, Path]]:
    """The fetcher's address and the folder of its store."""
    address = str(cache / "door")
    command = [sys.executable, "-c", FETCHER, address, str(cache / "frames"), emulator]
    with subprocess.Popen(command, env={**os.environ, **NO_AWS}) as process:
        while not Path(address).exists():
            time.sleep(0.05)
        try:
            yield address, cache
        finally:
            process.terminate()
            process.wait(30)


class Alone:
    """A file in a data store that holds nothing else; the import runs while others are looked at."""

    def __init__(self, emulator: str, file: Path, folder: Path) -> None:
        (folder / "in").mkdir(parents=True)
        (folder / "in" / file.name).symlink_to(file)
        (folder / "out").mkdir()
        self._jobs = _jobs(emulator)
        self.datastore_id = self._jobs.ensure_data_store(uuid.uuid4().hex)
        ends = [f"{(folder / end).as_uri()}/" for end in ("in", "out")]
        self._job = self._jobs.start(self.datastore_id, *ends, ROLE, uuid.uuid4().hex)

    def refused(self) -> list[str]:
        """The reasons why the file was refused, at the import's end."""
        while not self._job.has_ended:
            time.sleep(0.02)
            self._job = self._jobs.look(self._job)
        assert self._job.status == "COMPLETED"
        log = Path(self._job.output_uri.removeprefix("file://")) / "FAILURE" / "failure.ndjson"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line)["exception"]["message"] for line in lines]


def import_alone(emulator: str, file: Path, folder: Path) -> tuple[str, list[str]]:
    """The id of a new data store that holds just `file`, and the reasons if it was refused."""
    alone = Alone(emulator, file, folder)
    return alone.datastore_id, alone.refused()


def client_for(emulator: str, fetcher: tuple[str, Path], datastore_id: str, folder: Path) -> Any:
    """The app's test client, over an index in `folder` that holds this data store."""
    settings = load_settings(
        {
            "data_dir": folder,
            "ahi_endpoint": emulator,
            "ahi_region": REGION,
            "cache_root": fetcher[1],
            "public_url": "http://localhost",
            "prefetch": False,
        }
    )
    index = make_url(settings.index_url).database
    assert index is not None
    migrated_file(Path(index))
    Synchroniser(IndexWriter(settings.index_url), _store(emulator)).data_store(datastore_id)
    return create_app(make_services(settings, [fetcher[0]], 80)).test_client()


@cache
def _jobs(emulator: str) -> ImportJobs:
    return ImportJobs(emulator, REGION)


@cache
def _store(emulator: str) -> HealthImaging:
    return HealthImaging(emulator, REGION)
