"""Where files without a name lie that last no longer than what they were made for."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from dicomweb_gateway.errors import StorageUnavailable


@dataclass(frozen=True, slots=True)
class SpoolSpace:
    """Where spools lie: `folder`, None for the system's (TMPDIR); `min_free_bytes` stay free on its disk."""

    folder: Path | None = None
    min_free_bytes: int = 0

    def new_file(self) -> BinaryIO:
        """A file without a name, which the system removes when it is closed, however that comes; OSError."""
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made: Any = TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115  # the caller's
        file: BinaryIO = made
        return file

    def require(self, descriptor: int, size: int, what: str) -> None:
        """StorageUnavailable where the disk of an open file has no room for `size` bytes more of `what`."""
        if free_bytes(descriptor) - size < self.min_free_bytes:
            raise StorageUnavailable(f"the disk is too full to keep {what}")


def free_bytes(place: str | int) -> int:
    """Bytes that an ordinary process may still write on the disk of a folder or an open file; OSError."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize
