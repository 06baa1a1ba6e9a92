"""The file by which `reload` finds a running master, and reads what became of its reload.

The master holds a lock on it that its children do not inherit (fcntl, not flock), and the kernel tells who
holds it: a number that was left behind, or is another process's now, is never signalled.
"""

import fcntl
import os
import re
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.errors import ReloadFailed, SettingsError
from dicomweb_gateway.service.cache_claim import host_name

_FLOCK = struct.Struct("hhlli4x")
"""struct flock of Linux with 64 bits: type, whence, start, length, pid."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """What the file says: reloads until now, and why the last one was refused, None where it was not."""

    reloads: int = 0
    refused: str | None = None


class PidFile:
    """The master's own file, open and locked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reloads = 0
        self._write(None)

    def note_reload(self, refused: str | None) -> None:
        """One more reload is through."""
        self._reloads += 1
        self._write(refused)

    def _write(self, refused: str | None) -> None:
        row = {"pid": os.getpid(), "reloads": self._reloads, "refused": refused}
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, orjson.dumps(row), 0)


def pid_path(folder: Path, port: int) -> Path:
    """Where the gateway that listens on `port` of this host has its file; hosts may share the folder."""
    return folder / f"gateway-{host_name()}-{port}.pid"


@contextmanager
def pid_file(path: Path) -> Iterator[PidFile]:
    """The file until the block ends; SettingsError when it cannot be made or another process holds it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"another gateway holds {path}") from None
        yield PidFile(descriptor)
        with suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def reload(folder: Path, port: int | None, seconds: float) -> int:
    """Have the gateway with its data in `folder` reload, and wait for it; its pid.

    `port` tells which one where there are several. Raises ReloadFailed, with the master's reason when it was
    refused.
    """
    path, pid = _find(folder, port)
    before = _read(path).reloads
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise ReloadFailed(f"the gateway with pid {pid} belongs to another user") from None
    except ProcessLookupError:
        raise ReloadFailed("the gateway has just ended") from None
    deadline = time.monotonic() + seconds
    while (told := _read(path)).reloads <= before:
        if _holder(path) != pid:
            raise ReloadFailed("the gateway ended instead")
        if time.monotonic() > deadline:
            raise ReloadFailed(f"the gateway did not reload within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
    if told.refused is not None:
        raise ReloadFailed(f"{told.refused}; the gateway goes on with the settings that it has")
    return pid


def _find(folder: Path, port: int | None) -> tuple[Path, int]:
    pattern = re.sub(r"-\d+\.pid$", "-*.pid", pid_path(folder, 0).name)
    held = {path: pid for path in sorted(folder.glob(pattern)) if (pid := _holder(path))}
    if len(held) > 1 and port is not None:
        held = {path: pid for path, pid in held.items() if path == pid_path(folder, port)}
    if not held:
        raise ReloadFailed(f"no gateway runs with DATA_DIR {folder}")
    if len(held) > 1:
        raise ReloadFailed(f"several gateways run with DATA_DIR {folder}: name one with --port")
    return next(iter(held.items()))


def _holder(path: Path) -> int:
    """The process that holds the lock; 0 for none, or none of this host's."""
    try:
        with path.open("rb") as file:
            asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return 0
    return 0 if kind == fcntl.F_UNLCK else max(0, pid)


def _read(path: Path) -> Told:
    """What the file says; read again when it is just being written."""
    for _ in range(100):
        with suppress(orjson.JSONDecodeError, KeyError, OSError):
            row: dict[str, Any] = orjson.loads(path.read_bytes())
            return Told(row["reloads"], row["refused"])
        time.sleep(0.01)
    return Told()
