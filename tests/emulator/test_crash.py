"""A killed emulator: nothing acknowledged is lost, nothing half-imported is seen (issue: the emulator)."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.server import EmulatorServer
from dicomweb_gateway.emulator.storage import Storage
from dicomweb_gateway.errors import SettingsError
from tests.emulator.files import ct_slice, save
from tests.emulator.running import JobLogs, RunningEmulator, instances_of, running

SERIES, SLICES = 6, 8
PROGRAM = """
import sys
from pathlib import Path
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.server import run_emulator
config = EmulatorConfig(data_dir=Path(sys.argv[1]), workers=2)
run_emulator(config, "127.0.0.1", int(sys.argv[2]), ready=lambda port: print(port, flush=True))
"""


class Process:
    """An emulator in a process of its own, that can be killed."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder / "store"), str(port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{port}\n"
        self.emulator = RunningEmulator(f"http://127.0.0.1:{port}", folder)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def fill(source: Path) -> None:
    for series in range(1, SERIES + 1):
        for number in range(1, SLICES + 1):
            save(ct_slice(number, series=series, size=128), source / f"{series}-{number}.dcm")
    (source / "0-not-dicom").write_text("no")


def contents(emulator: RunningEmulator, datastore_id: str) -> dict[str, Any]:
    """Series to (version, primary, instances with the checksums of their frames)."""
    found = {}
    for entry in emulator.image_sets(datastore_id):
        document = emulator.document(datastore_id, entry["imageSetId"])
        instances = instances_of(document)
        checksums = {
            uid: instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"]
            for uid, instance in instances.items()
        }
        for instance in instances.values():
            assert emulator.frame(datastore_id, entry["imageSetId"], instance["ImageFrames"][0]["ID"])
        series_uid = entry["DICOMTags"]["DICOMSeriesInstanceUID"]
        assert series_uid not in found
        found[series_uid] = (entry["version"], entry["isPrimary"], checksums)
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    fill(folder / "in")
    with running(folder, workers=2) as emulator:
        datastore_id = emulator.datastore()
        emulator.load(datastore_id, folder / "in")
        return contents(emulator, datastore_id)


@pytest.mark.parametrize("published", [0, 1, 3])
def test_kill_during_an_import_and_start_again(tmp_path, source, uninterrupted, published):
    fill(source)
    first = Process(tmp_path)
    try:
        datastore_id = first.emulator.datastore()
        job_id = first.emulator.start(datastore_id, source)
        until = time.monotonic() + 60
        while len(first.emulator.image_sets(datastore_id)) < published and time.monotonic() < until:
            pass
    finally:
        first.end(signal.SIGKILL)
    second = Process(tmp_path)
    try:
        for found in contents(second.emulator, datastore_id).values():
            assert len(found[2]) == SLICES
        job = second.emulator.wait(datastore_id, job_id)
        assert job["jobStatus"] == "COMPLETED"
        assert contents(second.emulator, datastore_id) == uninterrupted
        logs = JobLogs(Path(job["outputS3Uri"].removeprefix("file://")))
        assert len(logs.success) == SERIES * SLICES
        assert logs.reasons.keys() == {"0-not-dicom"}
        assert logs.summary["numberOfScannedFiles"] == SERIES * SLICES + 1
    finally:
        assert second.end(signal.SIGTERM) == 0
    stored = Storage(tmp_path / "store")
    named = {row["blob"] for row in stored.catalogue.all("SELECT DISTINCT blob FROM frame")}
    stored.sweep()
    stored.close()
    assert named == {path.name for path in (tmp_path / "store" / "frames").glob("*/*")}


def test_an_unfinished_deletion_is_finished_at_the_next_start(tmp_path, source):
    save(ct_slice(1), source / "1.dcm")
    first = Process(tmp_path)
    datastore_id = first.emulator.datastore()
    first.emulator.load(datastore_id, source)
    [entry] = first.emulator.image_sets(datastore_id)
    ids = {"datastoreId": datastore_id, "imageSetId": entry["imageSetId"]}
    first.emulator.client.delete_image_set(**ids)
    first.end(signal.SIGKILL)
    with running(tmp_path) as emulator:
        until = time.monotonic() + 30
        while (state := emulator.client.get_image_set(**ids)["imageSetState"]) == "LOCKED":
            assert time.monotonic() < until
        assert state == "DELETED"


def test_leftovers_of_a_crash_are_swept_at_the_start(tmp_path):
    orphan = tmp_path / "store" / "frames" / "ab" / "abc"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half a frame")
    with running(tmp_path):
        assert not orphan.exists()


def test_second_emulator_on_one_folder_is_refused(tmp_path):
    with running(tmp_path) as emulator:
        with pytest.raises(SettingsError, match="another emulator is using"):
            Storage(tmp_path / "store")
        assert requests.get(f"{emulator.url}/_emulator/health", timeout=10).status_code == 200


def test_port_that_is_taken_is_refused_and_the_folder_given_free(tmp_path):
    with running(tmp_path / "one") as emulator:
        port = int(emulator.url.rpartition(":")[2])
        with pytest.raises(SettingsError, match="cannot listen"):
            EmulatorServer(EmulatorConfig(data_dir=tmp_path / "two"), "127.0.0.1", port)
        Storage(tmp_path / "two").close()
