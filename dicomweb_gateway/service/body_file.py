"""The body of a request that stores instances, on disk while it comes."""

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from dicomweb_gateway.dicom.spool_space import free_bytes

_LOOK_BYTES = 16 << 20
"""Between two looks at how much room is left."""


class BodyFile:
    """What waitress puts a body into, instead of its own buffer: a file without a name in `folder`.

    The system removes it with the last descriptor, also when the process is killed. Appending never raises:
    where the disk does not take more, or fewer than `min_free_bytes` would be left of it, `failure` says why
    and the rest is dropped.
    """

    def __init__(self, folder: Path | None, min_free_bytes: int) -> None:
        self.failure = ""
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._file: Any = None
        self._length = 0
        self._looked_at = -_LOOK_BYTES

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        """Add what has come."""
        if self.failure or not data:
            return
        try:
            self._write(data)
        except OSError as error:
            self.failure = (
                f"the disk does not take the body of this request ({os.strerror(error.errno or 0)})"
            )
            self.close()
            return
        self._length += len(data)

    def getfile(self) -> BinaryIO:
        """The body from its first byte on."""
        if self._file is None:
            return BytesIO()
        self._file.seek(0)
        found: BinaryIO = self._file
        return found

    def close(self) -> None:
        """Give the file up."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        if self._length - self._looked_at >= _LOOK_BYTES:
            self._looked_at = self._length
            if free_bytes(self._file.fileno()) < self._min_free_bytes + _LOOK_BYTES:
                raise OSError(28, "no room")
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
