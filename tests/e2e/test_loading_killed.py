"""`import`, `workflow` and `verify` broken off in the middle, in processes of their own, and started again.

`STOPS=10 pytest tests/e2e/test_loading_killed.py` breaks them off at as many points of their way, drawn anew
each time, by Ctrl-C and by SIGKILL in turn.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomweb_gateway.cli import main
from dicomweb_gateway.errors import MissingObject
from tests.buckets import aws_server, bucket, buckets
from tests.emulator.files import ct_slice, save
from tests.emulator.running import instances_of, running

__all__ = ["aws_server", "bucket", "buckets"]

FILES, SLICES = 12, 300
SIGNALS = (signal.SIGKILL, signal.SIGINT)
PATIENCE = 60
STOPS = int(os.environ.get("STOPS", "1"))
IMPORT_LINES, WALK_LINES = 6, 20
"""About as many lines as they tell of their way."""


@pytest.fixture(scope="module")
def emulator(aws_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    for number in range(1, SLICES + 1):
        save(ct_slice(number, size=16), folder / "in" / f"{number}.dcm")
    with running(folder, workers=1, s3_endpoint=aws_server) as made:
        yield made


def command(emulator, store: str, data: Path, *arguments: str) -> list[str]:
    pairs = {"data_dir": data, "ahi_endpoint": emulator.url, "ahi_datastore_ids": store}
    options = [f"--set={name}={value}" for name, value in pairs.items() if value]
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


def told_lines(arguments: list[str], environment: dict[str, str], stop_after: int | None, sign: int):
    """What the command tells, line by line, until it ends or is sent `sign` after so many lines."""
    lines: list[str] = []
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if len(lines) == stop_after:
                # somewhere on the way to the next line
                time.sleep(random.random() / 20)
                process.send_signal(sign)
    return lines, process.returncode


def broken_off(
    arguments: list[str], environment: dict[str, str], count: int, number: int, sign: signal.Signals
) -> list[str]:
    """Run the command twice, at first only to one of its `count` lines; what it told in all."""
    # one part of the way after the other, so that all of it is covered
    point = 1 + int((number + random.random()) * (count - 1) / STOPS)
    first, code = told_lines(arguments, environment, point, sign)
    print(f"{sign.name} after line {point} of {count}: {first[-1].strip()!r}, status {code}")
    # a Python that has done its work and is ending no longer hears SIGINT, but dies of it
    assert code in ((0, 1, -sign) if sign == signal.SIGINT else (0, -sign)), first
    assert "Traceback" not in "".join(first)
    if code == 1:
        assert first[-1] == "interrupted; the same command goes on from here\n"
    second, code = told_lines(arguments, environment, None, 0)
    assert code == 0, [*first, *second]
    return [*first, *second]


def test_an_import_that_is_broken_off_goes_on(emulator, buckets, bucket, aws_server, tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
    more = [f"--set=import_bucket={bucket}", f"--set=s3_endpoint={aws_server}"]
    for number in range(1, FILES + 1):
        save(ct_slice(number, size=16), tmp_path / "in" / f"{number}.dcm")
    source = [str(tmp_path / "in"), "--delete-staged", "--json"]

    def arguments(name: str) -> tuple[str, list[str]]:
        store = emulator.datastore()
        return store, command(emulator, store, tmp_path / name, *more, "import", *source)

    count = IMPORT_LINES
    if STOPS > 1:
        whole, code = told_lines(arguments("whole")[1], keys, None, 0)
        assert code == 0, whole
        count = len(whole)
    for number in range(STOPS):
        store, given = arguments(str(number))
        found = json.loads(broken_off(given, keys, count, number, SIGNALS[number % 2])[-1])
        assert (found["imported"] + found["unchanged"], found["failed"]) == (FILES, 0)
        assert len(emulator.client.list_dicom_import_jobs(datastoreId=store)["jobSummaries"]) == 1
        [row] = emulator.image_sets(store)
        assert row["version"] == 1
        assert len(instances_of(emulator.document(store, row["imageSetId"]))) == FILES
        status = CliRunner().invoke(main, [*given[3:-4], "index", "status", "--json"])
        assert json.loads(status.stdout)["instances"] == FILES
        assert [one.key for one in buckets.objects(bucket, "") if "/input/" in one.key] == []


@pytest.mark.filterwarnings("ignore:Tried to parse")
def test_a_walk_that_is_broken_off_goes_on(emulator, buckets, aws_server, tmp_path):
    environment = {
        "AWS_ENDPOINT_URL_CLOUDFORMATION": aws_server,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    more = [f"--set=s3_endpoint={aws_server}", "--set=ahi_region=us-east-1"]
    for number in range(1, 4):
        save(ct_slice(number, size=16), tmp_path / "in" / f"{number}.dcm")

    def arguments(name: str) -> list[str]:
        walk = ["workflow", "--yes", "--delete", "--processes", "0", "--stack", f"walk-{name}"]
        walk += ["--dicom", str(tmp_path / "in"), "--out", str(tmp_path / name / "out")]
        return command(emulator, "", tmp_path / name, *more, *walk)

    before = len(active_stores(emulator))
    count = WALK_LINES
    if STOPS > 1:
        whole, code = told_lines(arguments("whole"), environment, None, 0)
        assert code == 0, whole
        count = len(whole)
    for number in range(STOPS):
        told = "".join(
            broken_off(arguments(str(number)), environment, count, number, SIGNALS[number % 2 - 1])
        )
        assert "3 files imported into 1 image sets, 0 unchanged, 0 are no DICOM, 0 failed" in told
        assert "all frames are right" in told
        assert f"Stack walk-{number}: gone" in told
        # one killed when it had told all may have been at its end: the next is a walk of its own then
        walks = (1, 2) if told.count(f"Stack walk-{number}: gone") > 1 else (1,)
        jobs = set(re.findall(r"Import job (\w+): COMPLETED", told))
        assert len(jobs) in walks, told
        assert len(set(re.findall(r"The data store is (\w+)", told))) == len(jobs), told
        # nothing that it has made is left
        assert len(active_stores(emulator)) == before
        for name in set(re.findall(r"(?:Input|output) bucket ([^, ]+)", told)):
            with pytest.raises(MissingObject):
                list(buckets.objects(name, ""))


def active_stores(emulator) -> list[str]:
    pages = emulator.client.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE")
    return [row["datastoreId"] for page in pages for row in page["datastoreSummaries"]]


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
