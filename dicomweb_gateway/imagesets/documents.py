"""Image set metadata documents: fetched once over all processes, kept on disk, read instance by instance.

One GetImageSetMetadata per image set and version (DESIGN 2): threads of a process join on a lock per
document, processes on a lock file. A document without a known version is fetched anew in the background once
half of `ttl` is over. Nobody waits for that: after an idle time the known one is served, unless a day has
passed. While HealthImaging is down it is served on.
"""

import logging
import time
from collections import OrderedDict
from pathlib import Path
from threading import BoundedSemaphore, Lock, Thread

from dicomweb_gateway import patience
from dicomweb_gateway.errors import (
    UpstreamDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets.document_file import (
    OpenDocument,
    document_in_memory,
    open_document,
    write_document,
)
from dicomweb_gateway.imagesets.kept_files import KeptFiles
from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.shared_documents import SharedDocuments
from dicomweb_gateway.imagesets.split_document import SplitDocument, split_document
from dicomweb_gateway.imagesets.store import ImageSetRef, ImageSetStore
from dicomweb_gateway.telemetry.catalogue import CACHE
from dicomweb_gateway.telemetry.meters import count

_LOG = logging.getLogger(__name__)
_PATIENCE = 0.5
"""Seconds that a thread waits for its turn to load: a burst that the disk serves is over by then."""
_LONGEST_FETCH = 30.0
"""Seconds that a process waits for another one that fetches the same document."""
_OUTAGE = 15.0
"""Seconds that a document which is too old is served on, before a request waits for HealthImaging again."""
_LONGEST_IDLE = 24 * 3600.0
"""Seconds after which a document is no longer served while it is fetched anew."""
_MOST_OPEN = 256
"""Documents that are held open: each is a file descriptor."""


class DocumentCache:
    """Reads metadata documents through disk; safe for many threads and processes.

    `folder` is shared by all processes of a host. `memory_bytes` bounds what the heads of open documents
    take, `disk_bytes` the files. Where no disk takes them whole documents are held within `memory_bytes`.
    `waiting` is how many threads may wait for documents that are not at hand: the rest is told to come
    again, so that a slow upstream never takes every thread (J-9). A document is waited for until `timeout`
    seconds have passed or the request that asks ends (`patience`). What is missing on this host is looked for
    in `tier` before HealthImaging is asked.
    """

    def __init__(
        self,
        store: ImageSetStore,
        folder: Path,
        memory_bytes: int = 24 << 20,
        disk_bytes: int = 2 << 30,
        ttl: float = 60.0,
        waiting: int = 16,
        timeout: float = 60.0,
        tier: SharedDocuments | None = None,
    ) -> None:
        self._store = store
        self._tier = tier
        self._files = KeptFiles(folder, disk_bytes, ".document")
        self._memory_bytes = memory_bytes
        self._ttl = ttl
        self._timeout = timeout
        # who trusts no document waits for each
        self._usable = max(ttl, _LONGEST_IDLE) if ttl > 0 else ttl
        self._held: OrderedDict[ImageSetRef, OpenDocument] = OrderedDict()
        self._held_bytes = 0
        self._lock = Lock()
        self._waiting = BoundedSemaphore(waiting)
        self._loading: dict[ImageSetRef, Lock] = {}
        self._renewing: set[ImageSetRef] = set()

    def get(self, ref: ImageSetRef) -> ImageSetDocument:
        """The document of `ref`.

        Raises what the store raises, UpstreamFailed when the document is malformed, UpstreamThrottled when
        too many threads wait for documents already, UpstreamTimeout when it does not come in time,
        ClientLeft.
        """
        return self._get(ref).document

    def holds(self, ref: ImageSetRef) -> bool:
        """Whether the document of `ref` is open, so that nothing is waited for."""
        with self._lock:
            return ref in self._held

    def opened(self, ref: ImageSetRef) -> OpenDocument:
        """The document of `ref` with its text and digest, all of one reading; raises as `get` does."""
        return self._get(ref)

    def version(self, ref: ImageSetRef) -> str:
        """What changes when the document does: its version where that is known, else a digest of it (H-5).

        Raises as `get` does.
        """
        return ref.version_id or self._get(ref).digest

    def forget(self, ref: ImageSetRef) -> None:
        """Drop `ref` from memory and disk, after HealthImaging said that it is gone or changed."""
        with self._lock:
            self._drop(ref)
        self._files.remove(_name(ref))

    def _get(self, ref: ImageSetRef) -> OpenDocument:
        held = self._find(ref)
        count(CACHE, ("memory_documents", "miss" if held is None else "hit"))
        if held is not None:
            return held
        deadline = patience.until(self._timeout)
        if not patience.acquire(self._waiting, patience.until(_PATIENCE)):
            raise UpstreamThrottled("too many metadata documents are being fetched", retry_after=1)
        try:
            return self._load(ref, deadline)
        finally:
            self._waiting.release()

    def _load(self, ref: ImageSetRef, deadline: float) -> OpenDocument:
        """From disk or upstream, once however many threads ask."""
        with self._lock:
            loading = self._loading.setdefault(ref, Lock())
        if not patience.acquire(loading, deadline):
            raise UpstreamTimeout("the metadata document did not come in time")
        try:
            held = self._find(ref)
            if held is not None:
                return held
            found = self._current(ref, deadline)
            self._hold(ref, found)
        finally:
            with self._lock:
                self._loading.pop(ref, None)
            loading.release()
        self._renew_if_due(ref, found)
        return found

    def _current(self, ref: ImageSetRef, deadline: float) -> OpenDocument:
        """From disk or upstream; while HealthImaging is down an old document is better than none."""
        try:
            stored = self._read_disk(ref)
            if stored is not None:
                count(CACHE, ("documents", "hit"))
            return stored or self._fetch(ref, deadline)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamError:
            found = self._read_disk(ref, too_old=True)
            if found is None:
                raise
            found.trusted_until = time.monotonic() + _OUTAGE
            return found

    def _fetch(self, ref: ImageSetRef, deadline: float, renew: bool = False) -> OpenDocument:
        """From upstream, once over all processes; `renew` whatever lies on disk already."""
        began = time.time()
        left = max(0.0, deadline - time.monotonic())
        with self._files.lock(_name(ref), min(left, _LONGEST_FETCH)) as ours:
            if not ours:
                raise UpstreamThrottled("another process still fetches this metadata document", retry_after=2)
            found = self._read_disk(ref)
            # what another process wrote a moment ago or while we waited is new enough for both
            if found is not None and not (renew and self._is_due(ref, found) and found.written_at < began):
                return found
            count(CACHE, ("documents", "miss"))
            split = self._shared(ref) or self._asked(ref, deadline)
            digested = ref.version_id is None
            file = write_document(self._files.draft(_name(ref)), split, digested)
            if file is None:
                return document_in_memory(split, time.time(), digested)
            return open_document(file)

    def _shared(self, ref: ImageSetRef) -> SplitDocument | None:
        """The document as another host has brought it, None when none has."""
        text = None if self._tier is None else self._tier.get(ref)
        try:
            return None if text is None else split_document(text)
        except UpstreamFailed:
            return None

    def _asked(self, ref: ImageSetRef, deadline: float) -> SplitDocument:
        """The document from HealthImaging, told to the other hosts."""
        text = self._store.metadata(ref, deadline)
        split = split_document(text)
        if self._tier is not None:
            self._tier.put(ref, text)
        return split

    def _read_disk(self, ref: ImageSetRef, too_old: bool = False) -> OpenDocument | None:
        """The document on disk; None when it is missing, damaged or, unless `too_old` will do, too old."""
        file = self._files.open(_name(ref), touch=ref.version_id is not None)
        if file is None:
            return None
        try:
            found = open_document(file)
        except UpstreamFailed:
            self._files.remove(_name(ref))
            return None
        return None if not too_old and self._is_older(ref, found, self._usable) else found

    def _find(self, ref: ImageSetRef) -> OpenDocument | None:
        with self._lock:
            held = self._held.get(ref)
            if held is None:
                return None
            if self._is_older(ref, held, self._usable) and time.monotonic() >= held.trusted_until:
                return None
            self._held.move_to_end(ref)
        self._renew_if_due(ref, held)
        return held

    def _renew_if_due(self, ref: ImageSetRef, held: OpenDocument) -> None:
        """Have `held` fetched anew by a thread of its own, if it is time and no other does."""
        if not self._is_due(ref, held) or time.monotonic() < held.trusted_until:
            return
        with self._lock:
            if ref in self._renewing:
                return
            self._renewing.add(ref)
        Thread(target=self._renew, args=(ref, held), name="metadata", daemon=True).start()

    def _is_due(self, ref: ImageSetRef, found: OpenDocument) -> bool:
        return self._ttl > 0 and self._is_older(ref, found, self._ttl / 2)

    def _is_older(self, ref: ImageSetRef, found: OpenDocument, seconds: float) -> bool:
        # the clock of files, which all processes share; it may be set back
        return ref.version_id is None and not 0 <= time.time() - found.written_at <= seconds

    def _renew(self, ref: ImageSetRef, held: OpenDocument) -> None:
        """Fetch what is still served anew; after a failure it is served on for a while before another try."""
        try:
            self._hold(ref, self._fetch(ref, time.monotonic() + self._timeout, renew=True))
        except (UpstreamNotFound, UpstreamDenied):
            # whoever asks next learns it first hand, and makes the index rows stale
            self.forget(ref)
        except UpstreamError as error:
            _LOG.info("metadata could not be renewed: %s", type(error).__name__)
            held.trusted_until = time.monotonic() + _OUTAGE
        finally:
            with self._lock:
                self._renewing.discard(ref)

    def _hold(self, ref: ImageSetRef, found: OpenDocument) -> None:
        if found.weight > self._memory_bytes:
            return
        with self._lock:
            self._drop(ref)
            self._held[ref] = found
            self._held_bytes += found.weight
            while self._held_bytes > self._memory_bytes or len(self._held) > _MOST_OPEN:
                self._drop(next(iter(self._held)))

    def _drop(self, ref: ImageSetRef) -> None:
        dropped = self._held.pop(ref, None)
        self._held_bytes -= dropped.weight if dropped else 0


def _name(ref: ImageSetRef) -> str:
    return f"{ref.datastore_id}/{ref.image_set_id}/{ref.version_id or 'latest'}"
