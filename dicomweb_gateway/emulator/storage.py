"""The folder of one emulator: catalogue, blobs, metadata, and the lock that keeps a second emulator out."""

import fcntl
import os
import shutil
from pathlib import Path

from dicomweb_gateway.emulator.blobs import blob_path, read_range, sweep
from dicomweb_gateway.emulator.catalogue import Catalogue
from dicomweb_gateway.errors import SettingsError

_CATALOGUE = "catalogue.sqlite"


class Storage:
    """Opens (and makes) the folder; SettingsError when another emulator has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frames = root / "frames"
        self.documents = root / "metadata"
        self.incoming = root / "incoming"
        # patients' data lie in it, unless whoever made the folder wants it otherwise
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.frames, self.documents):
            folder.mkdir(exist_ok=True)
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise SettingsError(f"another emulator is using {root}") from error
        self.catalogue = Catalogue(root / _CATALOGUE)

    def sweep(self) -> int:
        """Remove blobs and documents that no transaction has named, and parts of requests; returns how many.

        For the start only: while an import runs, its blobs are not named yet.
        """
        shutil.rmtree(self.incoming, ignore_errors=True)
        frames = {row["blob"] for row in self.catalogue.all("SELECT DISTINCT blob FROM frame")}
        documents = {row["metadata"] for row in self.catalogue.all("SELECT metadata FROM image_set_version")}
        return sweep(self.frames, frames) + sweep(self.documents, documents)

    def read_frame(self, blob: str, offset: int, length: int) -> bytes:
        """The stored bytes of one frame."""
        return read_range(blob_path(self.frames, blob), offset, length)

    def read_document(self, name: str) -> bytes:
        """One metadata document, gzip as stored."""
        return blob_path(self.documents, name).read_bytes()

    def discard(self, blobs: list[str], documents: list[str]) -> None:
        """Remove files that nothing names any more."""
        for root, names in ((self.frames, blobs), (self.documents, documents)):
            for name in names:
                blob_path(root, name).unlink(missing_ok=True)

    def close(self) -> None:
        """Give the folder free."""
        self.catalogue.close()
        os.close(self._lock)
