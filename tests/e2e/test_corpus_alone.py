"""Files that share a SOP Instance UID with another: each in a data store and an index of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.settings import load_settings
from dicomweb_gateway.workflow.sync import Synchroniser

from .checking import Checker
from .compare import load_json
from .running import NO_AWS

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")

UNDECODABLE = "broken/j2k-embedded-sequence-delimiter.dcm"
"""Its codestream claims 3.7 billion columns."""

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/test"
FETCHER = """
import sys
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher import run_fetcher
from dicomweb_gateway.frames.sockets import listen
run_fetcher(listen(sys.argv[1]), FetcherConfig(sys.argv[2], 1 << 30, 1 << 20, endpoint_url=sys.argv[3]))
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("emulator")
    command = [sys.executable, "-m", "dicomweb_gateway", "emulator", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **NO_AWS}
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def fetcher(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    cache = tmp_path_factory.mktemp("cache")
    address = str(cache / "door")
    command = [sys.executable, "-c", FETCHER, address, str(cache / "frames"), emulator]
    with subprocess.Popen(command, env={**os.environ, **NO_AWS}) as process:
        while not Path(address).exists():
            time.sleep(0.05)
        yield address, cache
        process.terminate()
        process.wait(30)


class Alone:
    """A file in a data store that holds nothing else; the import runs while others are looked at."""

    def __init__(self, jobs: ImportJobs, file: Path, folder: Path) -> None:
        (folder / "in").mkdir(parents=True)
        (folder / "in" / file.name).symlink_to(file)
        (folder / "out").mkdir()
        self.folder = folder
        self.datastore_id = jobs.ensure_data_store(uuid.uuid4().hex)
        ends = [f"{(folder / end).as_uri()}/" for end in ("in", "out")]
        self._jobs, self._job = jobs, jobs.start(self.datastore_id, *ends, ROLE, uuid.uuid4().hex)

    def refused(self) -> list[str]:
        """The reasons why the file was refused, at the import's end."""
        while not self._job.has_ended:
            time.sleep(0.02)
            self._job = self._jobs.look(self._job)
        assert self._job.status == "COMPLETED"
        log = Path(self._job.output_uri.removeprefix("file://")) / "FAILURE" / "failure.ndjson"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line)["exception"]["message"] for line in lines]


@pytest.fixture(scope="module")
def empty_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that holds nothing yet, to copy."""
    file = tmp_path_factory.mktemp("empty") / "index.db"
    upgrade(f"sqlite:///{file}")
    return file


def client_for(
    emulator: str, fetcher: tuple[str, Path], alone: Alone, store: HealthImaging, empty_index: Path
) -> Any:
    settings = load_settings(
        {
            "data_dir": alone.folder,
            "ahi_endpoint": emulator,
            "ahi_region": REGION,
            "cache_root": fetcher[1],
            "public_url": "http://localhost",
            "prefetch": False,
        }
    )
    index = make_url(settings.index_url).database
    assert index
    shutil.copy(empty_index, index)
    Synchroniser(IndexWriter(settings.index_url), store).data_store(alone.datastore_id)
    return create_app(make_services(settings, [fetcher[0]], 80)).test_client()


def test_every_file_that_shares_its_uid(
    corpus: Path, emulator: str, fetcher: tuple[str, Path], empty_index: Path, tmp_path: Path
) -> None:
    entries = [
        entry
        for entry in load_json(corpus / "MANIFEST.json")["entries"]
        if entry["kind"] == "dicom" and not entry["uid_primary"]
    ]
    expected = {entry["path"]: entry for entry in load_json(corpus / "EXPECTED.json")["entries"]}
    totals: dict[str, int] = {}
    problems: list[str] = []
    jobs, store = ImportJobs(emulator, REGION), HealthImaging(emulator, REGION)
    files = {
        name: Alone(jobs, corpus / name, tmp_path / name.replace("/", "-"))
        for name in (entry["path"] for entry in entries)
    }
    for entry in entries:
        name = entry["path"]
        if refused := files[name].refused():
            print(f"{name}: {refused[0]}")
            totals["listed with a reason"] = totals.get("listed with a reason", 0) + 1
            continue
        client = client_for(emulator, fetcher, files[name], store, empty_index)
        check = Checker(lambda url, accept, client=client: _get(client, url, accept), folder=corpus)
        (row,) = client.get("/aetitle/instances").get_json()
        url = row["00081190"]["Value"][0]
        source = check.source(name)
        served = client.get(url + "/metadata").get_json()[0]
        check.metadata(name, source, served, set())
        check.instance(name, url, source, decodable=name != UNDECODABLE)
        if name in expected:
            check.frames(name, url, expected[name], entry["bits_allocated"])
            check.rendered(name, url, True)
        problems += check.problems
        for what, number in check.counts.items():
            totals[what] = totals.get(what, 0) + number
    print(json.dumps(totals, indent=1))
    assert problems == [], "\n".join(problems)
    assert totals["metadata: right"] + totals["listed with a reason"] == 59


def _get(client: Any, url: str, accept: str) -> tuple[int, bytes]:
    answer = client.get(url, headers={"Accept": accept})
    return answer.status_code, answer.data
