"""`serve` with the emulator in the place of AWS, for end-to-end tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomweb_gateway.imagesets.import_jobs import ImportJobs

from .running import NO_AWS

COMMAND = [sys.executable, "-m", "dicomweb_gateway"]


@contextmanager
def filled_emulator(folder: Path) -> Iterator[str]:
    """The URL of an emulator that has imported what lies in `folder`/in."""
    command = [*COMMAND, "emulator", "--data", str(folder / "emulator"), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **NO_AWS}
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        jobs = ImportJobs(url, "us-east-1")
        store = jobs.ensure_data_store("mine")
        role = "arn:aws:iam::123456789012:role/import"
        job = jobs.start(store, (folder / "in").as_uri() + "/", folder.as_uri() + "/", role, "token-1")
        while not job.has_ended:
            time.sleep(0.1)
            job = jobs.look(job)
        yield url
        process.terminate()
        process.wait(30)


@contextmanager
def filled_gateway(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """The environment of a gateway of two web processes whose index holds what lies in `folder`/in."""
    with filled_emulator(folder) as url:
        own = {"DATA_DIR": str(folder / "data"), "AHI_ENDPOINT": url, "PORT": "0", "WEB_PROCESSES": "2"}
        environment = {**os.environ, **NO_AWS, **own, **settings}
        # it brings the schema up to date, too
        assert run(environment, "index", "sync").returncode == 0
        yield environment


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


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


def wait_for(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(pattern, log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())
