"""The README's way to run it for real, with the emulator in the place of AWS."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.workflow.samples import write_synthetic_series

from .running import NO_AWS

COMMAND = [sys.executable, "-m", "dicomweb_gateway"]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    write_synthetic_series(tmp_path / "in", slices=3, size=64)
    command = [*COMMAND, "emulator", "--data", str(tmp_path / "emulator"), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **NO_AWS}
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        jobs = ImportJobs(url, "us-east-1")
        store = jobs.ensure_data_store("mine")
        role = "arn:aws:iam::123456789012:role/import"
        job = jobs.start(store, (tmp_path / "in").as_uri() + "/", tmp_path.as_uri() + "/", role, "token-1")
        while not job.has_ended:
            time.sleep(0.1)
            job = jobs.look(job)
        yield url
        process.terminate()
        process.wait(30)


@pytest.fixture
def environment(emulator: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        **NO_AWS,
        "DATA_DIR": str(tmp_path / "data"),
        "AHI_ENDPOINT": emulator,
        "PORT": "0",
        "PUBLIC_URL": "https://pacs.example.org/imaging",
        "WEB_PROCESSES": "1",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_upgrade_sync_check_serve(environment: dict[str, str], tmp_path: Path) -> None:
    assert run(environment, "db", "upgrade").returncode == 0
    synchronised = run(environment, "index", "sync")
    assert synchronised.returncode == 0, synchronised.stderr
    checked = run(environment, "check")
    assert checked.returncode == 0, checked.stdout
    with serving(environment, tmp_path / "serve.log") as (process, base):
        assert requests.get(f"{base}/health", timeout=10).text == "OK"
        (study,) = requests.get(f"{base}/aetitle/studies", timeout=10).json()
        assert study["00201208"]["Value"] == [3]
        (link,) = study["00081190"]["Value"]
        assert link.startswith("https://pacs.example.org/imaging/aetitle/studies/")
        named = {"Host": "pacs.example.org"}
        assert requests.get(f"{base}/aetitle/studies", headers=named, timeout=10).status_code == 200
        foreign = {"Host": "evil.example.org"}
        assert requests.get(f"{base}/aetitle/studies", headers=foreign, timeout=10).status_code == 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    text = (tmp_path / "serve.log").read_text()
    for expected in ("AWS credentials:", "frame fetcher 0 started", "service starting, listening on"):
        assert expected in text


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with (
        log.open("wb") as out,
        subprocess.Popen([*COMMAND, "serve"], env=environment, stdout=out, stderr=out) as process,
    ):
        try:
            port = wait_for(log, r"web process 0 serves 127\.0\.0\.1:(\d+)")
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_taken_port_is_one_sentence(environment: dict[str, str]) -> None:
    with requests.Session() as session:
        taken = session.get(environment["AHI_ENDPOINT"] + "/_emulator/health", timeout=10).url.split(":")[2]
    refused = run({**environment, "PORT": taken.split("/")[0]}, "serve")
    assert refused.returncode == 2
    assert refused.stderr.strip().count("\n") == 0
    assert "cannot listen on" in refused.stderr


def wait_for(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(pattern, log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())
