"""gunicorn with gthread workers over the same WSGI app and index as a gateway under test."""

import importlib.util
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from tests.benchmarks.gateway import Gateway, free_port
from tests.benchmarks.processes import Family

_THREADS = 64
_START_SECONDS = 60


def lacking() -> str | None:
    """Why it cannot run here."""
    return (
        None if importlib.util.find_spec("gunicorn") else "gunicorn is not installed (`pip install .[bench]`)"
    )


class Gunicorn:
    """As many workers and threads as the gateway has on a machine of these cores; logs go to `folder`."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        folder.mkdir()
        self.port = free_port()
        workers = min(8, len(os.sched_getaffinity(0)))
        with (folder / "gunicorn.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}"),
                    *("--worker-class", "gthread", "--workers", str(workers), "--threads", str(_THREADS)),
                    *("--keep-alive", "60", "--worker-tmp-dir", str(folder), "tests.benchmarks.wsgi:app"),
                ],
                env=gateway.environment,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/healthcheck", timeout=20):
                return
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit((folder / "gunicorn.log").read_text())
            time.sleep(0.1)

    def family(self) -> Family:
        """Master and workers."""
        return Family(self.process.pid)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(40)
