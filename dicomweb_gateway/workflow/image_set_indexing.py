"""One image set of HealthImaging into the index, as it stands, and with it what that changes of others."""

import time
from collections.abc import Iterable
from datetime import datetime

from dicomweb_gateway.errors import UpstreamError, UpstreamNotFound, UpstreamThrottled
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef, ImageSetStore
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.pace import Pace

DELETED = "DELETED"

THROTTLED_TRIES = 6
"""Times that an image set is tried while HealthImaging says 429; the waits double from a second on."""


class ImageSetIndexing:
    """Puts image sets into the index and takes them out; from any thread.

    `per_second` bounds the metadata reads of all threads together. Data stores that are not `allowed` (None:
    all are) are neither read nor indexed, whatever the index holds or noted of them.
    """

    def __init__(
        self,
        index: IndexWriter,
        store: ImageSetStore,
        per_second: float | None = None,
        allowed: frozenset[str] | None = None,
    ) -> None:
        self._index = index
        self._store = store
        self._pace = Pace(per_second)
        self._allowed = allowed

    def image_set(self, ref: ImageSetRef) -> int:
        """One image set as it stands; the number of instances that it now gives.

        Raises UpstreamNotFound, after taking it out of the index, when HealthImaging no longer has it.
        """
        try:
            found = self._existing(ref)
        except UpstreamNotFound:
            self.remove(ref)
            raise
        return self._put_found(found)

    def remove(self, ref: ImageSetRef) -> None:
        """Take an image set out of the index; others may then give what it gave."""
        self._again(self._index.remove(ref))

    def _existing(self, ref: ImageSetRef) -> ImageSetProperties:
        """Its properties; UpstreamNotFound also for one that HealthImaging calls deleted."""
        found = self._store.image_set(ref)
        if found.state == DELETED:
            raise UpstreamNotFound(f"image set {ref.image_set_id} is deleted")
        return found

    def _put_found(self, found: ImageSetProperties) -> int:
        return self._put(found.ref, found.is_primary, found.updated_at)

    def _put(self, ref: ImageSetRef, is_primary: bool | None, updated_at: datetime | None) -> int:
        document = parse_document(self._metadata(ref))
        version = int(ref.version_id or 1)
        indexed = self._index.put(document, version=version, is_primary=is_primary, updated_at=updated_at)
        self._again(indexed.reindex)
        return indexed.instances

    def _metadata(self, ref: ImageSetRef) -> bytes:
        pause = 1.0
        for _ in range(THROTTLED_TRIES - 1):
            self._pace.wait()
            try:
                return self._store.metadata(ref)
            except UpstreamThrottled:
                time.sleep(pause)
                pause *= 2
        return self._store.metadata(ref)

    def _may_read(self, datastore_id: str) -> bool:
        return self._allowed is None or datastore_id in self._allowed

    def _again(self, refs: Iterable[ImageSetRef]) -> None:
        """Image sets that may now give what a changed or removed one no longer gives."""
        for ref in refs:
            if not self._may_read(ref.datastore_id):
                continue
            latest = ImageSetRef(ref.datastore_id, ref.image_set_id)
            try:
                self._put_found(self._existing(latest))
            except UpstreamNotFound:
                continue
            except UpstreamError as error:
                self._index.note_failure(latest, str(error))
