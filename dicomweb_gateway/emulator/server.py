"""Runs the emulator on waitress, in this process, until it is told to stop."""

from collections.abc import Callable

from dicomweb_gateway.emulator.config import EmulatorConfig


def run_emulator(
    config: EmulatorConfig, host: str, port: int, ready: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the bound port once requests are accepted.

    Port 0 takes a free one. SettingsError when another emulator uses the folder or the port is taken.
    """
    raise NotImplementedError
