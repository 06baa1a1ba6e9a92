"""`dicomweb-gateway index` against an emulator of its own: output, exit codes, failures, what is gone."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pydicom
import pytest
import requests
from click.testing import CliRunner
from pydicom.data import get_testdata_file

from dicomweb_gateway.cli import main
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.writer import IndexWriter
from tests.e2e.house import free_port
from tests.emulator.running import running
from tests.sqs import aws_server, event, queue

__all__ = ["aws_server", "queue"]


class House:
    """An emulator with one CT image set, and the command line pointed at it."""

    def __init__(self, folder, emulator):
        self.data, self.emulator = folder / "data", emulator
        self.store = emulator.datastore()
        name = get_testdata_file("CT_small.dcm", download=False)
        (folder / "in").mkdir()
        dataset = pydicom.dcmread(name)
        dataset.AcquisitionDateTime = "20240701120000"
        del dataset.TimezoneOffsetFromUTC
        dataset.save_as(folder / "in" / "ct.dcm")
        emulator.wait(self.store, emulator.start(self.store, folder / "in"))
        [found] = emulator.image_sets(self.store)
        self.image_set = found["imageSetId"]

    def run(self, *arguments, **settings):
        pairs = {"data_dir": self.data, "ahi_endpoint": self.emulator.url, **settings}
        given = [f"--set={name}={value}" for name, value in pairs.items()]
        return CliRunner().invoke(main, [*given, "index", *arguments])

    def json(self, *arguments):
        result = self.run(*arguments, "--json")
        return result.exit_code, json.loads(result.stdout)

    def note_failure(self, reason):
        with closing(IndexWriter(f"sqlite:///{self.data}/index.sqlite")) as writer:
            writer.note_failure(ImageSetRef(self.store, self.image_set, "1"), reason)

    def delete(self):
        names = {"datastoreId": self.store, "imageSetId": self.image_set}
        self.emulator.client.delete_image_set(**names)
        while self.emulator.client.get_image_set(**names)["imageSetState"] != "DELETED":
            time.sleep(0.05)


@pytest.fixture
def house(tmp_path):
    with running(tmp_path / "ahi", workers=1) as emulator:
        yield House(tmp_path, emulator)


def test_sync_status_and_prune(house):
    code, row = house.json("sync")
    assert (code, row["datastore"]) == (0, house.store)
    assert (row["indexed"], row["unchanged"], row["removed"], row["failures"]) == (1, 0, 0, {})
    code, status = house.json("status")
    assert code == 0
    assert (status["studies"], status["instances"], status["image_sets"]) == (1, 1, {"active": 1})
    assert status["last_sync"][house.store]["indexed"] == 1
    assert "image sets active 1" in house.run("status").stdout
    assert house.json("prune")[1]["removed"] == 0
    house.delete()
    code, row = house.json("prune", "--datastore", house.store)
    assert (code, row["removed"], row["kept"]) == (0, 1, 0)
    status = house.json("status")[1]
    assert (status["studies"], status["tombstones"], status["image_sets"]) == (0, 1, {})


def test_since_takes_times_and_ages(house):
    assert house.json("sync", "--since", "1h")[1]["indexed"] == 1
    tomorrow = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    assert house.json("sync", "--since", tomorrow)[1]["unchanged"] == 0
    assert house.json("sync", "--since", "2020-01-01")[1]["unchanged"] == 1
    for wrong in ("yesterday", "d", "-3d", "999999d", "2026-13-01"):
        assert house.run("sync", "--since", wrong).exit_code == 2


def test_a_changed_time_zone_needs_everything_again(house):
    def found(moment):
        with closing(sqlite3.connect(house.data / "index.sqlite")) as index:
            return index.execute(
                "SELECT count(*) FROM gateway_instance WHERE acquisitiondatetime LIKE ?", (f"{moment}%",)
            ).fetchone() == (1,)

    assert house.run("sync").exit_code == 0
    assert found("2024-07-01 12:00:00")
    assert house.run("sync", time_zone="Europe/Berlin").exit_code == 0
    assert found("2024-07-01 12:00:00")
    assert house.run("sync", "--again", time_zone="Europe/Berlin").exit_code == 0
    assert found("2024-07-01 10:00:00")
    assert house.run("image-set", house.store, house.image_set, time_zone="-0500").exit_code == 0
    assert found("2024-07-01 17:00:00")
    refused = house.run("sync", time_zone="Nowhere")
    assert refused.exit_code == 2
    assert "TIME_ZONE" in refused.stderr


def test_image_sets_by_id(house):
    result = house.run("image-set", house.store, house.image_set, "f" * 32)
    assert result.exit_code == 1
    assert result.stdout == f"{house.image_set}: 1 instances\n"
    assert "f" * 32 in result.stderr
    assert house.run("image-set", house.store).exit_code == 2


def test_failures_are_listed_and_retried(house):
    assert house.json("failures") == (0, [])
    house.note_failure("it was broken")
    code, [row] = house.json("failures")
    assert (code, row["imagesetid"], row["reason"]) == (1, house.image_set, "it was broken")
    assert "it was broken" in house.run("failures").stdout
    result = house.run("failures", "--retry")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 indexed" in result.stderr
    assert house.json("status")[1]["instances"] == 1


def test_watch_needs_a_queue(house):
    result = house.run("watch")
    assert result.exit_code == 2
    assert "INDEX_QUEUE_URL" in result.stderr


def test_watch_follows_events_until_sigterm(house, queue):
    """The real command: what is there is indexed at the start, what comes later by its event."""
    port = free_port()
    settings = {
        "DATA_DIR": str(house.data),
        "AHI_ENDPOINT": house.emulator.url,
        "INDEX_QUEUE_URL": queue.url,
        "WATCH_METRICS": f"127.0.0.1:{port}",
    }
    given = [f"--set={name.lower()}={value}" for name, value in settings.items()]
    assert CliRunner().invoke(main, [*given, "db", "upgrade"]).exit_code == 0
    command = [sys.executable, "-m", "dicomweb_gateway", *given, "index", "watch"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: house.json("status")[1].get("image_sets") == {"active": 1})
        house.delete()
        queue.send("no event", event(house.store, house.image_set, 1, "Deleted"))
        until(lambda: house.json("status")[1]["tombstones"] == 1)
        wanted = "\n".join(
            [
                'dicomweb_gateway_watch_messages_total{result="removed"} 1.0',
                'dicomweb_gateway_watch_messages_total{result="unreadable"} 1.0',
            ]
        )
        numbers = f"http://127.0.0.1:{port}/metrics"
        until(lambda: wanted in requests.get(numbers, timeout=30).text)
        told = requests.get(numbers, timeout=30).text
        assert "dicomweb_gateway_watch_seconds_count 1.0" in told
        assert 'dicomweb_gateway_watch_queue{state="dead"} 0.0' in told
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    result = CliRunner().invoke(main, [*given, "index", "status", "--json"])
    status = json.loads(result.stdout)
    assert (status["studies"], status["queued"], status["dead_letters"]) == (0, 0, 0)


def until(done):
    last = time.monotonic() + 60
    while not done():
        assert time.monotonic() < last
        time.sleep(0.1)


def test_data_stores_that_are_not_allowed_are_refused(house):
    other = "e" * 32
    given = ["--set", f"data_dir={house.data}", "--set", f"ahi_datastore_ids={other}", "index"]
    for command in (
        ["sync", "--datastore", house.store],
        ["prune", "--datastore", house.store],
        ["image-set", house.store, house.image_set],
    ):
        result = CliRunner().invoke(main, [*given, *command])
        assert result.exit_code == 2
        assert "AHI_DATASTORE_IDS" in result.stderr
    house.note_failure("it was broken")
    assert CliRunner().invoke(main, [*given, "failures"]).exit_code == 0
