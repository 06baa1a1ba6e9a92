"""`import` and `verify` killed in the middle, each in a process of its own, and started again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from dicomweb_gateway.workflow.importing.ledger import STARTED
from tests.emulator.files import ct_slice, save
from tests.emulator.running import instances_of, running

SLICES = 300
PATIENCE = 60


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    for number in range(1, SLICES + 1):
        save(ct_slice(number, size=16), folder / "in" / f"{number}.dcm")
    with running(folder, workers=1) as made:
        yield made


def command(emulator, store: str, data: Path, *arguments: str) -> list[str]:
    pairs = {"data_dir": data, "ahi_endpoint": emulator.url, "ahi_datastore_ids": store}
    options = [f"--set={name}={value}" for name, value in pairs.items()]
    return [sys.executable, "-m", "dicomweb_gateway", *options, *arguments]


def killed_when(arguments: list[str], is_time) -> list[int]:
    """Kill the command once it is time; the processes that it had started."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while not is_time():
        assert process.poll() is None, "it has ended by itself"
        assert time.monotonic() < until
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    return list(map(int, children))


def run(arguments: list[str]) -> dict:
    found = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    return json.loads(found.stdout.strip().splitlines()[-1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_import_that_is_killed_goes_on_with_its_job(emulator, tmp_path):
    store = emulator.datastore()
    arguments = command(emulator, store, tmp_path, "import", str(emulator.folder / "in"), "--json")
    ledger = tmp_path / "imports" / "ledger.sqlite"

    def has_started() -> bool:
        if not ledger.exists():
            return False
        with closing(sqlite3.connect(ledger, timeout=5)) as connection:
            try:
                found = connection.execute("SELECT max(state) FROM batch").fetchone()
            except sqlite3.OperationalError:
                return False
        return found[0] is not None and found[0] >= STARTED

    killed_when(arguments, has_started)
    found = run(arguments)
    assert (found["imported"], found["failed"], found["unchanged"]) == (SLICES, 0, 0)
    assert len(emulator.client.list_dicom_import_jobs(datastoreId=store)["jobSummaries"]) == 1
    [row] = emulator.image_sets(store)
    assert row["version"] == 1
    assert len(instances_of(emulator.document(store, row["imageSetId"]))) == SLICES


def test_a_verification_that_is_killed_leaves_no_process_and_goes_on(emulator, tmp_path):
    store = emulator.datastore()
    assert not emulator.load(store, emulator.folder / "in").failure
    out = tmp_path / "out"
    arguments = command(emulator, store, tmp_path, "verify", "--all", "--processes", "2", "--json")
    arguments += ["--out", str(out)]
    journal = out / "verify.journal"
    emulator.side("PUT", "faults", json={"latency_ms": 60.0})
    try:
        children = killed_when(arguments, lambda: journal.exists() and len(journal.read_text()) > 33)
    finally:
        emulator.side("PUT", "faults", json={"latency_ms": 0.0})
    found = run(arguments)
    assert found["before"] > 0
    assert found["before"] + found["frames"] == SLICES
    assert found["failed"] == 0
    assert len(list(out.rglob("*.jph"))) == SLICES
    until = time.monotonic() + PATIENCE
    while any(map(is_alive, children)):
        assert time.monotonic() < until
        time.sleep(0.05)
