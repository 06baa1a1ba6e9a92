"""A gateway that `serve` runs over an emulator of its own, which outlives the restarts of the gateway."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from dicomweb_gateway.imagesets.import_jobs import ImportJobs

from .running import NO_AWS, ONE

COMMAND = (sys.executable, "-m", "dicomweb_gateway")
ROLE = "arn:aws:iam::123456789012:role/import"
START_SECONDS = 60
LOAD_SECONDS = 600


class House:
    """Processes below `folder`; `settings` are environment variables of the gateway.

    `emulator_options` are further words of the `emulator` command.
    """

    def __init__(
        self,
        folder: Path,
        source: Path,
        settings: dict[str, str],
        emulator_options: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "serve.log"
        self.wrapped: list[str] = []
        """Words before the command of `serve`, such as `unshare`."""
        self._emulator_options = list(emulator_options)
        self._process: subprocess.Popen[bytes] | None = None
        self._emulator_port = free_port()
        self.emulator = f"http://127.0.0.1:{self._emulator_port}"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/aetitle"
        self.settings = {
            "DATA_DIR": str(folder / "data"),
            "AHI_ENDPOINT": self.emulator,
            "PORT": str(self.port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            **ONE,
            **settings,
        }
        self.start_emulator()
        self._load(source)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **NO_AWS, **self.settings}

    @property
    def master(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether a gateway that was started has not ended."""
        return self._process is not None and self._process.poll() is None

    def start_emulator(self) -> None:
        command = [*COMMAND, "emulator", "--data", str(self.folder / "emulator")]
        command += ["--port", str(self._emulator_port), "--log-level", "warning", *self._emulator_options]
        with (self.folder / "emulator.log").open("ab") as out:
            self._emulator = subprocess.Popen(command, stdout=out, stderr=out, env=self.environment)
        wait_for(lambda: answers(f"{self.emulator}/_emulator/health"))

    def stop_emulator(self) -> None:
        self._emulator.kill()
        self._emulator.wait()

    def start(self) -> None:
        """Start the gateway and wait until it answers and its fetchers do.

        A start takes seconds on a busy machine, which would be taken from the first frame's time.
        """
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [*self.wrapped, *COMMAND, "serve"], stdout=out, stderr=out, env=self.environment
            )
        wait_for(self._is_up)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(40)

    def kill_all(self) -> None:
        """kill -9 of every process of the gateway."""
        assert self._process is not None
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        if self.is_running:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill_all()
        self.stop_emulator()

    def processes(self) -> list[int]:
        """Process ids of master, web processes, fetchers and decoders that live now."""
        found = [self.master]
        for pid in found:
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def children(self, name: str) -> list[int]:
        """Living children of the master by the name in its log, such as "frame fetcher"."""
        started = re.findall(rf"{name}[^\"]* started, pid (\d+)", self.log.read_text(errors="replace"))
        living = set(self.processes())
        return [pid for pid in map(int, started) if pid in living]

    def faults(self, **changes: Any) -> None:
        reply = requests.put(f"{self.emulator}/_emulator/faults", json=changes, timeout=30)
        assert reply.status_code == 200, reply.text

    def counters(self) -> dict[str, Any]:
        return dict(requests.get(f"{self.emulator}/_emulator/counters", timeout=30).json())

    def reset_counters(self) -> None:
        requests.post(f"{self.emulator}/_emulator/counters/reset", timeout=30)

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def _load(self, source: Path) -> None:
        before = {name: os.environ.get(name) for name in self.settings if name.startswith("AWS_")}
        os.environ.update({name: self.settings[name] for name in before})
        try:
            jobs = ImportJobs(self.emulator, "us-east-1")
            store = jobs.ensure_data_store("house")
            job = jobs.start(store, f"{source.as_uri()}/", f"{self.folder.as_uri()}/", ROLE, "token-1")
            deadline = time.monotonic() + LOAD_SECONDS
            while not job.has_ended:
                assert time.monotonic() < deadline, "the import did not end"
                time.sleep(0.1)
                job = jobs.look(job)
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        self.run("db", "upgrade")
        self.run("index", "sync")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")
        root = f"http://127.0.0.1:{self.port}"
        return (
            answers(f"{root}/healthcheck")
            and "fetcher" not in requests.get(f"{root}/health", timeout=30).text
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.RequestException:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
