"""Files of the store: written beside, synced, renamed, so that a name stands for complete bytes only."""

import os
import uuid
from collections.abc import Container
from pathlib import Path
from types import TracebackType
from typing import Self

_PARTIAL = ".partial"


def blob_path(root: Path, name: str) -> Path:
    """Where a blob lies: spread over 256 folders by the first two characters of its name."""
    return root / name[:2] / name


class BlobWriter:
    """One new blob under a random name; leaving the block without error makes it durable, else removes it."""

    def __init__(self, root: Path) -> None:
        self.name = uuid.uuid4().hex
        self.length = 0
        self._final = blob_path(root, self.name)
        self._partial = self._final.with_name(self.name + _PARTIAL)

    def __enter__(self) -> Self:
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("wb")
        return self

    def append(self, data: bytes) -> int:
        """Add bytes; returns the offset at which they stand."""
        offset = self.length
        self._file.write(data)
        self.length += len(data)
        return offset

    def restart(self) -> None:
        """Forget what was appended."""
        self._file.seek(0)
        self._file.truncate()
        self.length = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        if kind is not None:
            self._partial.unlink(missing_ok=True)
            return
        self._partial.rename(self._final)
        sync_folder(self._final.parent)


def write_durably(path: Path, data: bytes) -> None:
    """`data` under `path`, complete or not at all, there after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + _PARTIAL)
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_range(path: Path, offset: int, length: int) -> bytes:
    """`length` bytes from `offset` on; OSError when the blob is gone or shorter."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(descriptor, length, offset)
        while len(data) < length:
            more = os.pread(descriptor, length - len(data), offset + len(data))
            if not more:
                raise OSError(f"blob {path.name} is shorter than the catalogue says")
            data += more
        return data
    finally:
        os.close(descriptor)


def sweep(root: Path, known: Container[str]) -> int:
    """Remove every file below `root` whose name is not known: leftovers of interrupted imports."""
    removed = 0
    for path in root.glob("*/*"):
        if path.name not in known:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
