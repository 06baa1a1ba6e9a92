"""Instances that could not be produced lately, known to every process of the host (dicomweb.md W-10)."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from dicomweb_gateway.index.records import InstanceRecord


class Planned(NamedTuple):
    """One instance and the transfer syntax in which it is to go out, or the media type of its picture."""

    record: InstanceRecord
    transfer_syntax_uid: str


class RecentFailures:
    """Planned instances that failed in the last `seconds`, of which about `capacity` are remembered.

    Each is an empty file in `folder`, whose name is a hash and whose time is that of the failure. Without a
    folder, or where it cannot be written, this process alone remembers them.
    """

    def __init__(self, folder: Path | None = None, seconds: float = 600, capacity: int = 10_000) -> None:
        self._folder = folder
        self._seconds = seconds
        self._capacity = capacity
        self._lock = Lock()
        self._own: dict[str, float] = {}
        self._shared: dict[str, float] = {}
        self._read_at: int | None = None

    def add(self, planned: Planned) -> None:
        """Remember that `planned` failed just now."""
        name, now = _name(planned), time.time()
        with self._lock:
            self._own.pop(name, None)
            self._own[name] = now
            for old in list(self._own)[: -self._capacity]:
                del self._own[old]
        if self._folder is not None:
            with suppress(OSError):
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._sweep(self._folder)
                _mark(self._folder, name)

    def recent(self, planned: Sequence[Planned]) -> set[int]:
        """The positions in `planned` of those that failed lately."""
        with self._lock:
            times = {**self._look(), **self._own}
        names = {name for name, at in times.items() if self._is_recent(at)}
        if not names:
            return set()
        return {number for number, one in enumerate(planned) if _name(one) in names}

    def _is_recent(self, at: float) -> bool:
        # a time in the future means that the clock was set back
        return abs(time.time() - at) < self._seconds

    def _look(self) -> dict[str, float]:
        """What the folder tells; it is read when something in it changed."""
        if self._folder is None:
            return {}
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._shared = {entry.name: at for at, entry in _entries(self._folder)}
                self._read_at = changed_at
        except OSError:
            self._shared, self._read_at = {}, None
        return self._shared

    def _sweep(self, folder: Path) -> None:
        """Remove what is over and what is too much."""
        entries = sorted(_entries(folder), key=lambda entry: entry[0])
        for number, (at, entry) in enumerate(entries):
            if len(entries) - number >= self._capacity or not self._is_recent(at):
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)


def _entries(folder: Path) -> Iterator[tuple[float, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry.stat().st_mtime, entry


def _mark(folder: Path, name: str) -> None:
    """A new file in place of an older mark: the folder's time tells others that something changed."""
    with suppress(FileNotFoundError):
        os.unlink(folder / name)
    os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _name(planned: Planned) -> str:
    record = planned.record
    key = (
        record.image_set.datastore_id,
        record.image_set.image_set_id,
        str(record.image_set.version_id),
        record.instance_uid,
        planned.transfer_syntax_uid,
    )
    return sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
