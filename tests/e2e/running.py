"""Real processes for the end-to-end tests: a whole demo, or the emulator alone."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

START_SECONDS = 60
LOAD_SECONDS = 300
NO_AWS = {"AWS_EC2_METADATA_DISABLED": "true"}
ONE = {"WEB_PROCESSES": "1"}
"""Where a test is not about what several web processes do to each other: each takes a second to start."""


@dataclass
class Demo:
    """A running `demo`; `base` is the DICOMweb base URL."""

    process: subprocess.Popen[bytes]
    log: Path
    root: str = ""
    emulator: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def base(self) -> str:
        return f"{self.root}/aetitle"

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self, name: str) -> list[int]:
        """Process ids, newest last, of the children whose start the log tells of."""
        return [int(pid) for pid in re.findall(rf"{name}[^\"]* started, pid (\d+)", self.text())]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start_demo(
    data: Path, sources: list[Path], *options: str, wait: bool = True, log: str = "demo.log"
) -> Demo:
    """Start a demo on free ports, which writes to `log` in `data`; with `wait` until everything is loaded."""
    data.mkdir(parents=True, exist_ok=True)
    written = data / log
    command = [sys.executable, "-m", "dicomweb_gateway", *options, "demo", "--data", str(data), "--port", "0"]
    for source in sources:
        command += ["--dicom", str(source)]
    with written.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**ONE, **os.environ, **NO_AWS})
    demo = Demo(process, written)
    demo.root = _wait_for(demo, r"listening on (127\.0\.0\.1:\d+)", "http://{}")
    demo.emulator = _wait_for(demo, r"emulator on (http://[0-9.:]+)", "{}")
    if wait:
        wait_until_loaded(demo)
    return demo


def wait_until_loaded(demo: Demo) -> None:
    deadline = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(f"{demo.root}/health", timeout=10).status_code == 200:
                return
        if demo.process.poll() is not None:
            raise AssertionError(f"the demo ended:\n{demo.text()}")
        time.sleep(0.2)
    raise AssertionError(f"the demo did not load in time:\n{demo.text()}")


def _wait_for(demo: Demo, pattern: str, form: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = re.search(pattern, demo.text())
        if found:
            return form.format(found[1])
        if demo.process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the demo did not start:\n{demo.text()}")
