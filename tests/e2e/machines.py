"""Machines of their own as far as the network goes: namespaces on a bridge, each with its address."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT

from .house import answers, wait_for

PORT = 8080
_REQUESTS = "dicomweb_gateway_requests_total{"


def ip(*words: str) -> str:
    """Run `ip`; CalledProcessError when it refuses."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Machine:
    """A namespace at `address`, in which one gateway runs with the settings `environment`."""

    def __init__(self, namespace: str, address: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.namespace = namespace
        self.address = address
        self.log = folder / f"{namespace}.log"
        self._environment = {
            **environment,
            "HOST": address,
            "PORT": str(PORT),
            "DATA_DIR": str(folder / namespace),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        """Host and port of its gateway."""
        return f"{self.address}:{PORT}"

    def start(self, code: Path = ROOT) -> None:
        """Start the gateway out of the folder `code`, and wait until it answers."""
        command = [sys.executable, "-m", "dicomweb_gateway", "serve"]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *command],
                stdout=out,
                stderr=out,
                env={**self._environment, "PYTHONPATH": str(code)},
                cwd=code,
            )
        wait_for(self._is_up)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def kill(self) -> None:
        """SIGKILL of all that runs on the machine."""
        assert self._process is not None
        for pid in map(int, ip("netns", "pids", self.namespace).split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(20)

    def requests_below(self, base: str) -> float:
        """How many requests it has answered below a base path: /metrics itself lies elsewhere."""
        text = requests.get(f"http://{self.place}/metrics", timeout=30).text
        counted = [line for line in text.splitlines() if line.startswith(_REQUESTS) and f'"{base}"' in line]
        return sum(float(line.split()[-1]) for line in counted)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")
        return answers(f"http://{self.place}/healthcheck")


class Network:
    """A bridge with this machine's `address` on it."""

    def __init__(self) -> None:
        self._name = f"dwg{os.getpid()}"
        # addresses for measurements between machines (RFC 2544), a network for each process that tests
        self._network = f"198.18.{os.getpid() % 250}"
        self._namespaces: list[str] = []
        self.address = f"{self._network}.1"

    def up(self) -> None:
        """Make the bridge."""
        ip("link", "add", self._name, "type", "bridge")
        ip("address", "add", f"{self.address}/24", "dev", self._name)
        ip("link", "set", self._name, "up")

    def machine(self, folder: Path, environment: Mapping[str, str]) -> Machine:
        """A new machine."""
        number = len(self._namespaces) + 2
        name, address = f"{self._name}-{number}", f"{self._network}.{number}"
        ip("netns", "add", name)
        self._namespaces.append(name)
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", name, "master", self._name, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            ip("-n", name, *words)
        return Machine(name, address, folder, environment)

    def down(self) -> None:
        """Remove everything."""
        for name in self._namespaces:
            ip("netns", "delete", name)
        ip("link", "delete", self._name)


@contextmanager
def network() -> Iterator[Network]:
    """A network; skips, saying why, where none can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    made = Network()
    try:
        made.up()
        made.machine(Path(), {})
    except subprocess.CalledProcessError as error:
        with suppress(subprocess.CalledProcessError):
            made.down()
        pytest.skip(f"no network namespaces can be made here: {error.stderr.strip()}")
    try:
        yield made
    finally:
        made.down()
