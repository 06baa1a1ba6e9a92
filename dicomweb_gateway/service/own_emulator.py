"""An emulator of one's own, in a process beside, for commands that need no other HealthImaging."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomweb_gateway.workflow.loader import wait_for_emulator
from dicomweb_gateway.workflow.uninterrupted import uninterrupted

_END_SECONDS = 20


@contextmanager
def own_emulator(folder: Path) -> Iterator[str]:
    """Its URL, as long as the block lasts; its data stay in `folder`. GatewayError when it does not start."""
    port = free_port()
    with uninterrupted():
        process = subprocess.Popen(emulator_command(folder, port))  # noqa: S603  # our own module
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_emulator(url)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def emulator_command(folder: Path, port: int, *options: str) -> list[str]:
    """The command that serves `folder` on loopback."""
    command = [sys.executable, "-m", "dicomweb_gateway", "emulator"]
    command += ["--data", str(folder), "--port", str(port), "--log-level", "warning"]
    return [*command, *options]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
