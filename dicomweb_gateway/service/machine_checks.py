"""What `check` finds out about this machine: disk, memory, cores, limits."""

import os
import resource
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dicomweb_gateway.settings import Settings

_FREE_BYTES = 1 << 30
_DESCRIPTORS = 4096
_WRITTEN = 16 << 20
_SLOW = 20.0
"""Megabytes a second below which a cache on that disk helps little."""
_FIRST_PROCESSES, _EACH_PROCESS = 220 << 20, 70 << 20
"""Memory of a gateway with two web processes and a fetcher, and of each further process, as measured."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class CheckResult(NamedTuple):
    """One line of the table."""

    name: str
    ok: bool
    detail: str


def machine_checks(settings: Settings) -> list[CheckResult]:
    """Of disk, audit log, open files, memory."""
    return [_disk(settings), *_audit(settings), _limits(), _memory(settings)]


def nearest_folder(path: Path) -> Path:
    """`path`, or that of its parents which exists."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _disk(settings: Settings) -> CheckResult:
    folder = nearest_folder(settings.cache_folder)
    free = shutil.disk_usage(folder).free
    room = f"{free / (1 << 30):.1f} GiB free at {folder}"
    try:
        speed = _writing_speed(folder)
    except OSError as error:
        return CheckResult("disk", False, f"{room}, which cannot be written: {error.strerror}")
    slow = ", slow for a cache" if speed < _SLOW else ""
    return CheckResult("disk", free > _FREE_BYTES, f"{room}, writes {speed:.0f} MB/s{slow}")


def _writing_speed(folder: Path) -> float:
    """Megabytes a second onto the disk itself."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.monotonic()
        for _ in range(_WRITTEN >> 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return _WRITTEN / 1e6 / max(1e-6, time.monotonic() - began)


def _audit(settings: Settings) -> list[CheckResult]:
    path = settings.audit_path
    if path is None:
        return []
    place = path if path.exists() else nearest_folder(path.parent)
    fine = os.access(place, os.W_OK)
    return [CheckResult("audit log", fine, str(path) if fine else f"{path} cannot be written")]


def _limits() -> CheckResult:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fine = hard == resource.RLIM_INFINITY or hard >= _DESCRIPTORS
    allowed = "any number of" if hard == resource.RLIM_INFINITY else hard
    return CheckResult("limits", fine, f"{allowed} open files allowed")


def _memory(settings: Settings) -> CheckResult:
    allowed = _allowed_memory()
    further = max(0, settings.web_process_count - 2) + max(0, settings.fetcher_count - 1)
    needed = _FIRST_PROCESSES + further * _EACH_PROCESS + settings.level_bytes * settings.web_process_count
    detail = (
        f"{allowed / (1 << 30):.1f} GiB for {settings.web_process_count} web processes and "
        f"{settings.fetcher_count} fetchers on {settings.cores} cores; idle they need {needed >> 20} MiB"
    )
    return CheckResult("memory", allowed > 2 * needed, detail)


def _allowed_memory() -> int:
    """Bytes: the machine's, or what its container may have."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for place in _CGROUPS:
        with suppress(OSError, ValueError):
            total = min(total, int(Path(place).read_text()))
    return total
