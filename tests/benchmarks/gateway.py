"""The gateway under test, started as users start it: `serve`, its settings in the environment."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from tests.benchmarks.content import Series
from tests.benchmarks.processes import Family

ROOT = Path(__file__).parents[2]
BASE = "/aetitle"
STORED = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
_START_SECONDS = 60
_ROLES = {"frame fetcher": "fetchers", "web process": "web"}
_ENVIRONMENT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": "AKIABENCHMARK",
    "AWS_SECRET_ACCESS_KEY": "of-no-use-anywhere",
    "AHI_REGION": "us-east-1",
    # a limit per second would be the thing measured
    "FRAME_RATE_LIMIT": "100000",
    "METADATA_RATE_LIMIT": "100000",
}


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Gateway:
    """A running `serve` over an index of `series` in `folder`, which must be new.

    `settings` by their upper-case names. With `profiles`, a folder, every process writes its profile there
    when it ends.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str,
        series: Iterable[Series],
        settings: Mapping[str, str] | None = None,
        profiles: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        fill_index(folder, series)
        self.folder = folder
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            **_ENVIRONMENT,
            "PYTHONPATH": str(ROOT),
            "AHI_ENDPOINT": upstream,
            "PORT": str(self.port),
            "DATA_DIR": str(folder),
            "PUBLIC_URL": self.root,
            **(settings or {}),
        }
        module = "dicomweb_gateway"
        if profiles is not None:
            profiles.mkdir(parents=True, exist_ok=True)
            module, self.environment["BENCHMARK_PROFILES"] = "tests.benchmarks.profiled", str(profiles)
        self._log = folder / "serve.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "serve"], stdout=log, stderr=log, env=self.environment
            )
        self._wait()

    def family(self) -> Family:
        """All its processes, as they are now."""
        told = re.findall(r"(frame fetcher|web process) \d+ started, pid (\d+)", self._log.read_text())
        return Family(self.process.pid, {int(pid): _ROLES[name] for name, pid in told})

    def signal(self, number: int) -> None:
        """Send a signal to master, web processes and fetchers."""
        for pid, role in self.family().members():
            if role != "decoders":
                os.kill(pid, number)

    def stop(self) -> None:
        """SIGTERM, and its end."""
        self.process.terminate()
        self.process.wait(40)

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError), urlopen(f"{self.root}/health", timeout=5):
                break
            if time.monotonic() > until or self.process.poll() is not None:
                self.process.kill()
                raise SystemExit(self._log.read_text())
            time.sleep(0.1)
        # every web process has its own socket: new connections reach them all sooner or later
        for _ in range(40):
            with urlopen(f"{self.root}/healthcheck", timeout=30):
                pass


def fill_index(folder: Path, series: Iterable[Series]) -> None:
    """The SQLite index of a gateway whose DATA_DIR is `folder`, through the normal indexer."""
    url = f"sqlite:///{folder / 'index.sqlite'}"
    upgrade(url)
    writer = IndexWriter(url)
    try:
        for one in series:
            writer.put(parse_document(one.document), version=1, is_primary=True, updated_at=None)
    finally:
        writer.close()
