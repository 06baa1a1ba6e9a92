"""Image set metadata documents: fetched once over all processes, kept on disk and, parsed, in memory.

One GetImageSetMetadata per image set and version (DESIGN 2): threads of a process join on a lock per
document, processes on a lock file. A document without a known version is trusted for `ttl` seconds.
"""

import fcntl
import gzip
import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

from dicomweb_gateway.errors import UpstreamFailed, UpstreamThrottled
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document
from dicomweb_gateway.imagesets.store import ImageSetRef, ImageSetStore

_FOLDERS = 256
_PATIENCE = 0.5
"""Seconds that a thread waits for its turn to load: a burst that the disk serves is over by then."""
_LEVEL = 1
"""gzip level: writing must not cost more than what a later fetch saves."""


class _Held(NamedTuple):
    document: ImageSetDocument
    size: int
    read_at: float


class DocumentCache:
    """Reads metadata documents through memory and disk; safe for many threads and processes.

    `folder` is shared by all processes of a host. `memory_bytes` bounds the JSON size of the documents
    held parsed, `disk_bytes` the compressed size of those on disk; a single document above the memory
    bound is parsed anew each time it is asked. `waiting` is how many threads may wait for documents that
    are not at hand: the rest is told to come again, so that a slow upstream never takes every thread (J-9).
    """

    def __init__(
        self,
        store: ImageSetStore,
        folder: Path,
        memory_bytes: int = 64 << 20,
        disk_bytes: int = 1 << 30,
        ttl: float = 60.0,
        waiting: int = 16,
    ) -> None:
        self._store = store
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._ttl = ttl
        self._held: OrderedDict[ImageSetRef, _Held] = OrderedDict()
        self._held_bytes = 0
        self._lock = Lock()
        self._waiting = BoundedSemaphore(waiting)
        self._loading: dict[ImageSetRef, Lock] = {}

    def get(self, ref: ImageSetRef) -> ImageSetDocument:
        """The document of `ref`.

        Raises what the store raises, UpstreamFailed when the document is malformed, UpstreamThrottled when
        too many threads wait for documents already.
        """
        held = self._find(ref)
        if held is not None:
            return held
        if not self._waiting.acquire(timeout=_PATIENCE):
            raise UpstreamThrottled("too many metadata documents are being fetched", retry_after=1)
        try:
            return self._load(ref)
        finally:
            self._waiting.release()

    def _load(self, ref: ImageSetRef) -> ImageSetDocument:
        """From disk or upstream, once however many threads ask."""
        with self._lock:
            loading = self._loading.setdefault(ref, Lock())
        with loading:
            held = self._find(ref)
            if held is not None:
                return held
            try:
                blob = self._read(ref)
                document = self._parse(ref, blob)
                self._hold(ref, _Held(document, len(blob), time.monotonic()))
            finally:
                with self._lock:
                    self._loading.pop(ref, None)
            return document

    def forget(self, ref: ImageSetRef) -> None:
        """Drop `ref` from memory and disk, after HealthImaging said that it is gone or changed."""
        with self._lock:
            dropped = self._held.pop(ref, None)
            self._held_bytes -= dropped.size if dropped else 0
        _remove(self._path(ref))

    def _parse(self, ref: ImageSetRef, blob: bytes) -> ImageSetDocument:
        """The document; one that is not of the schema is not kept, so that the next reader asks again."""
        try:
            return parse_document(blob)
        except UpstreamFailed:
            _remove(self._path(ref))
            raise

    def _find(self, ref: ImageSetRef) -> ImageSetDocument | None:
        with self._lock:
            held = self._held.get(ref)
            if held is None or self._is_old(ref, time.monotonic() - held.read_at):
                return None
            self._held.move_to_end(ref)
            return held.document

    def _is_old(self, ref: ImageSetRef, age: float) -> bool:
        return ref.version_id is None and age > self._ttl

    def _hold(self, ref: ImageSetRef, held: _Held) -> None:
        if held.size > self._memory_bytes:
            return
        with self._lock:
            replaced = self._held.pop(ref, None)
            self._held[ref] = held
            self._held_bytes += held.size - (replaced.size if replaced else 0)
            while self._held_bytes > self._memory_bytes:
                _, dropped = self._held.popitem(last=False)
                self._held_bytes -= dropped.size

    def _read(self, ref: ImageSetRef) -> bytes:
        path = self._path(ref)
        blob = self._read_disk(ref, path)
        if blob is not None:
            return blob
        with self._lock_file(path):
            blob = self._read_disk(ref, path)
            if blob is None:
                blob = self._store.metadata(ref)
                self._write_disk(path, blob)
        return blob

    def _path(self, ref: ImageSetRef) -> Path:
        name = f"{ref.datastore_id}/{ref.image_set_id}/{ref.version_id or 'latest'}"
        digest = sha256(name.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:]}.json.gz"

    def _read_disk(self, ref: ImageSetRef, path: Path) -> bytes | None:
        """The document on disk; None when it is missing, too old, or torn (its gzip CRC tells)."""
        try:
            if self._is_old(ref, time.time() - path.stat().st_mtime):
                return None
            blob = gzip.decompress(path.read_bytes())
            if ref.version_id is not None:
                os.utime(path)
            return blob or None
        except (OSError, EOFError, zlib.error):
            return None

    def _write_disk(self, path: Path, blob: bytes) -> None:
        """Written beside and renamed; a full or failing disk only costs the next reader a fetch."""
        beside = path.with_suffix(f".{os.getpid()}.part")
        try:
            beside.write_bytes(gzip.compress(blob, _LEVEL))
            os.replace(beside, path)
            self._sweep(path.parent)
        except OSError:
            _remove(beside)

    def _sweep(self, folder: Path) -> None:
        """Keep one of the 256 folders below its share of the budget, least recently used first."""
        entries = []
        for path in folder.glob("*.json.gz"):
            with suppress(FileNotFoundError):
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        surplus = sum(size for _, size, _ in entries) - self._disk_bytes // _FOLDERS
        for _, size, path in sorted(entries)[:-1]:
            if surplus <= 0:
                return
            path.unlink(missing_ok=True)
            surplus -= size

    @contextmanager
    def _lock_file(self, path: Path) -> Iterator[None]:
        """One process at a time per document; without a usable disk there is nothing to share anyway."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _lock_of(path: Path) -> Path:
    """One of 16 lock files of the folder: as many as there can be documents would never be cleaned up."""
    return path.parent / f"{path.name[0]}.lock"


def _remove(path: Path) -> None:
    """Delete `path` if the disk lets us; a file that stays is found out by whoever reads it."""
    with suppress(OSError):
        path.unlink()
