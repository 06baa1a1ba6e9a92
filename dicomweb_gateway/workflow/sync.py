"""HealthImaging's image sets into the index: what is new or newer is indexed, what is gone is removed."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dicomweb_gateway.errors import UpstreamError, UpstreamNotFound
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef, ImageSetStore
from dicomweb_gateway.index.writer import IndexWriter

_LOG = logging.getLogger(__name__)
DELETED = "DELETED"


@dataclass(slots=True)
class SyncReport:
    """What one run did, in image sets; `failures` is image set id to reason."""

    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Synchroniser:
    """Brings an index up to date with an image set store; safe to run at any time and to break off."""

    def __init__(self, index: IndexWriter, store: ImageSetStore) -> None:
        self._index = index
        self._store = store

    def data_store(
        self, datastore_id: str, on_progress: Callable[[SyncReport], None] = lambda report: None
    ) -> SyncReport:
        """One data store. A failing image set is noted and the rest goes on.

        Image sets that the store no longer lists leave the index, once the whole list was read.
        """
        report = SyncReport()
        known = self._index.known(datastore_id)
        seen: set[str] = set()
        for summary in self._store.search(datastore_id):
            seen.add(summary.image_set_id)
            if known.get(summary.image_set_id) == summary.version:
                report.unchanged += 1
                continue
            ref = ImageSetRef(datastore_id, summary.image_set_id, str(summary.version))
            try:
                self._put(ref, summary.is_primary, summary.updated_at)
                report.indexed += 1
            except UpstreamError as error:
                report.failures[summary.image_set_id] = str(error)
                _LOG.warning("image set %s was not indexed: %s", summary.image_set_id, error)
            on_progress(report)
        for image_set_id in sorted(known.keys() - seen):
            self._remove(ImageSetRef(datastore_id, image_set_id))
            report.removed += 1
        return report

    def image_set(self, ref: ImageSetRef) -> int:
        """One image set as it stands; the number of instances that it now gives.

        Raises UpstreamNotFound, after taking it out of the index, when HealthImaging no longer has it.
        """
        try:
            found = self._store.image_set(ref)
            if found.state == DELETED:
                raise UpstreamNotFound(f"image set {ref.image_set_id} is deleted")
        except UpstreamNotFound:
            self._remove(ref)
            raise
        return self._put_found(found)

    def _put_found(self, found: ImageSetProperties) -> int:
        return self._put(found.ref, found.is_primary, found.updated_at)

    def _put(self, ref: ImageSetRef, is_primary: bool | None, updated_at: datetime | None) -> int:
        document = parse_document(self._store.metadata(ref))
        version = int(ref.version_id or 1)
        indexed = self._index.put(document, version=version, is_primary=is_primary, updated_at=updated_at)
        self._again(indexed.reindex)
        return indexed.instances

    def _remove(self, ref: ImageSetRef) -> None:
        self._again(self._index.remove(ref))

    def _again(self, refs: Iterable[ImageSetRef]) -> None:
        """Image sets that may now give what a changed or removed one no longer gives."""
        for ref in refs:
            try:
                self._put_found(self._store.image_set(ImageSetRef(ref.datastore_id, ref.image_set_id)))
            except UpstreamNotFound:
                continue
