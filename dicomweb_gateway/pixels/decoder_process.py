"""One decoder process as its parent sees it: started, asked, killed, buried."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, SOCK_SEQPACKET, socket, socketpair
from time import monotonic
from typing import Any

import orjson

from dicomweb_gateway.errors import DecodersUnavailable, UndecodablePixels
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.shared_buffer import make_buffer, put, shrink, take
from dicomweb_gateway.pixels.worker import MESSAGE

_START_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""How much later than its parent would a worker ends itself."""
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


class Died(Exception):
    """The worker is gone; the message says how."""


class DecoderProcess:
    """One decoder process; `idle_since` in monotonic seconds."""

    def __init__(self, module: str) -> None:
        self.idle_since = monotonic()
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        self._control: socket = ours
        self._buffer = make_buffer()
        try:
            with theirs:
                inherited = (theirs.fileno(), self._buffer)
                self._process = subprocess.Popen(  # noqa: S603  # our own module, no outside text
                    [sys.executable, "-P", "-m", module, *map(str, inherited)],
                    pass_fds=inherited,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=_environment(),
                )
        except OSError:
            self._close()
            raise
        self._is_ready = False

    def decode(self, request: dict[str, Any], data: bytes, seconds: float) -> Samples:
        """The samples of one frame. Raises UndecodablePixels, Died, TimeoutError, DecodersUnavailable."""
        self._await_start()
        try:
            put(self._buffer, data)
            self._control.send(orjson.dumps(request))
            self._control.settimeout(seconds)
            answer = self._control.recv(MESSAGE)
        except TimeoutError:
            raise
        except OSError as error:
            raise Died(self._obituary()) from error
        if not answer:
            raise Died(self._obituary())
        told = orjson.loads(answer)
        if "error" in told:
            raise UndecodablePixels(told["error"])
        samples = take(self._buffer, tuple(told["shape"]), told["dtype"])
        shrink(self._buffer)
        return samples

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the process, whatever it does, and forget it."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._control.close()
        os.close(self._buffer)

    def _await_start(self) -> None:
        """The time that an interpreter takes to start is not the frame's."""
        if self._is_ready:
            return
        self._control.settimeout(_START_SECONDS)
        with suppress(OSError):
            self._is_ready = bool(self._control.recv(MESSAGE))
        if not self._is_ready:
            raise DecodersUnavailable("a decoder process does not start")

    def _obituary(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(GRACE_SECONDS)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "it closed its socket"


def _environment() -> dict[str, str]:
    """What a worker needs to run this very code, and nothing that could be a secret."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    given = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    root = Path(__file__).parents[2]
    # what is installed is found without; before the standard library it could hide parts of that
    own = [] if root.name in ("site-packages", "dist-packages") else [str(root)]
    return {**kept, "PYTHONPATH": os.pathsep.join(given + own), "OPENBLAS_NUM_THREADS": "1"}
