"""Rendered images that are kept: in memory for minutes, on disk for all processes (dicomweb.md R-11)."""

import os
from collections.abc import Callable
from pathlib import Path

from dicomweb_gateway.imagesets.kept_files import HEADER, KeptFiles
from dicomweb_gateway.index.hot import HotMap

_IN_MEMORY = 16 << 20
_SECONDS = 600.0


class KeptPictures:
    """Pictures by key; those on disk lie below `folder` and take at most `budget` bytes, 0 for none.

    A key must name everything that a picture depends on: nothing is ever made anew under the same key. Many
    who ask for the same one in a process cause one to be made. A disk that fails only means that nothing is
    kept there.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._files = KeptFiles(folder, budget, ".picture")
        self._budget = budget
        self._hot: HotMap[bytes] = HotMap(_SECONDS, min(_IN_MEMORY, budget), len)

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The picture, from here or from `make`, whose exceptions come through."""
        return self._hot.get(key, lambda: self._load(key, make))

    def _load(self, key: str, make: Callable[[], bytes]) -> bytes:
        found = self._read(key) if self._budget else None
        if found is None:
            found = make()
            if len(found) <= self._budget:
                self._write(key, found)
        return found

    def _read(self, key: str) -> bytes | None:
        file = self._files.open(key)
        if file is None:
            return None
        try:
            data = os.pread(file.descriptor, file.length, HEADER.size)
        except OSError:
            return None
        finally:
            os.close(file.descriptor)
        return data if len(data) == file.length else None

    def _write(self, key: str, data: bytes) -> None:
        draft = self._files.draft(key)
        try:
            draft.write(data)
            kept = draft.keep()
        finally:
            draft.drop()
        if kept is not None:
            os.close(kept.descriptor)
