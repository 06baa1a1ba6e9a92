"""HealthImaging's image sets into the index: what is new or newer is indexed, what is gone is removed."""

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial
from itertools import islice

from dicomweb_gateway.errors import UpstreamError, UpstreamNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef, ImageSetStore, ImageSetSummary
from dicomweb_gateway.index.seen import LAG
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.image_set_indexing import ImageSetIndexing
from dicomweb_gateway.workflow.sync_report import Listener, SyncReport

_LOG = logging.getLogger(__name__)

WORKERS = 8
"""Image sets that are read and indexed at once."""

METADATA_PER_SECOND = 40
"""GetImageSetMetadata calls a second; HealthImaging allows 50, and viewers want some of them."""

LOOK_ON_PAUSE = LAG.total_seconds() + 0.1
"""Seconds between two looks at what the AWS Lambda wrote."""

LOOK_ON_SECONDS = 300
"""Seconds that looking may take at the end of a synchronisation."""

LOOK_ON_EVERY = 30
"""Seconds after which a run that goes on looks again."""


class Synchroniser(ImageSetIndexing):
    """Brings an index up to date with an image set store; safe to run at any time and to break off.

    A run that was broken off goes on where it stopped: image sets that the index holds at their version are
    only listed, not read; `workers` are read at once.
    """

    def __init__(
        self,
        index: IndexWriter,
        store: ImageSetStore,
        workers: int = WORKERS,
        per_second: float | None = None,
        allowed: frozenset[str] | None = None,
    ) -> None:
        super().__init__(index, store, per_second, allowed)
        self._workers = workers

    def data_store(
        self,
        datastore_id: str,
        on_progress: Listener = lambda report: None,
        since: datetime | None = None,
        again: bool = False,
    ) -> SyncReport:
        """One data store. A failing image set is noted in the index, and the rest goes on.

        Image sets that the store no longer lists, and then does not give by their id either, leave the
        index once the whole list was read. With `since`, only image sets changed at or after it are looked
        at and none leaves. With `again`, those that the index holds at their version are indexed once more:
        a setting may make something else of them. Raises IndexUnavailable, and UpstreamError when the list
        cannot be read.
        """
        report = SyncReport()
        known = self._index.known(datastore_id)
        seen: set[str] = set()
        self._index.sync_started(datastore_id)
        held = {} if again else known
        self._index_all(self._todo(datastore_id, since, held, seen, report), report, on_progress)
        if since is None:
            self._remove_unlisted(datastore_id, known, seen, report, on_progress)
        self._index.sync_completed(datastore_id, report.numbers())
        return report

    def look_on(self) -> None:
        """Look through all that the AWS Lambda wrote beside us, so that searches need not (6.4)."""
        until = time.monotonic() + LOOK_ON_SECONDS
        while self._index.look_on() and time.monotonic() < until:
            time.sleep(LOOK_ON_PAUSE)

    def prune(self, datastore_id: str, on_progress: Listener = lambda report: None) -> SyncReport:
        """Take out of the index what HealthImaging no longer has, and index nothing.

        A data store that HealthImaging no longer lists has no image sets.
        """
        report = SyncReport()
        known = self._index.known(datastore_id)
        seen: set[str] = set()
        try:
            for summary in self._store.search(datastore_id):
                report.found += 1
                seen.add(summary.image_set_id)
        except UpstreamNotFound:
            if datastore_id in self._store.data_store_ids():
                raise
        report.listed = True
        self._remove_unlisted(datastore_id, known, seen, report, on_progress)
        report.unchanged = max(0, len(known) - report.removed)
        return report

    def listed(self, summaries: Iterable[ImageSetSummary]) -> int:
        """Index those image sets that the index does not hold at their version; how many there were."""
        indexed = 0
        for summary in summaries:
            ref = ImageSetRef(summary.datastore_id, summary.image_set_id, str(summary.version))
            if self._index.version(ref) != summary.version:
                self._put(ref, summary.is_primary, summary.updated_at)
                indexed += 1
        return indexed

    def retry(self) -> SyncReport:
        """Try the image sets again that failed before."""
        report = SyncReport(listed=True)
        for failure in self._index.failures():
            if not self._may_read(failure.datastoreid):
                continue
            report.found += 1
            ref = ImageSetRef(failure.datastoreid, failure.imagesetid)
            try:
                self.image_set(ref)
                report.indexed += 1
            except UpstreamNotFound:
                report.removed += 1
            except UpstreamError as error:
                self._note(ref, error, report)
        return report

    def _todo(
        self,
        datastore_id: str,
        since: datetime | None,
        known: dict[str, int],
        seen: set[str],
        report: SyncReport,
    ) -> Iterator[ImageSetSummary]:
        """What must be read, as the store lists it; everything that it lists goes into `seen`."""
        for summary in self._store.search(datastore_id, since):
            seen.add(summary.image_set_id)
            report.found += 1
            if known.get(summary.image_set_id) == summary.version:
                report.unchanged += 1
            else:
                yield summary
        report.listed = True

    def _index_all(self, todo: Iterator[ImageSetSummary], report: SyncReport, on_progress: Listener) -> None:
        """Read and index `todo`, some at a time; when the list breaks off, what runs is still finished."""
        running: dict[Future[int], ImageSetRef] = {}
        look_on_at = time.monotonic() + LOOK_ON_EVERY
        with ThreadPoolExecutor(self._workers, thread_name_prefix="sync") as pool:
            while True:
                for summary in islice(todo, 2 * self._workers - len(running)):
                    ref = ImageSetRef(summary.datastore_id, summary.image_set_id, str(summary.version))
                    work = partial(self._put, ref, summary.is_primary, summary.updated_at)
                    running[pool.submit(work)] = ref
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._finish(future, running.pop(future), report)
                    on_progress(report)
                if time.monotonic() >= look_on_at:
                    self._index.look_on()
                    look_on_at = time.monotonic() + LOOK_ON_EVERY

    def _finish(self, future: Future[int], ref: ImageSetRef, report: SyncReport) -> None:
        try:
            future.result()
            report.indexed += 1
        except UpstreamError as error:
            self._note(ref, error, report)

    def _note(self, ref: ImageSetRef, error: UpstreamError, report: SyncReport) -> None:
        report.failures[ref.image_set_id] = str(error)
        self._index.note_failure(ref, str(error))
        _LOG.warning("image set %s was not indexed: %s", ref.image_set_id, error)

    def _remove_unlisted(
        self,
        datastore_id: str,
        known: dict[str, int],
        seen: set[str],
        report: SyncReport,
        on_progress: Listener,
    ) -> None:
        """Remove what is `known`, or noted by the AWS Lambda alone, was not `seen` in HealthImaging's list,
        and is not given by its id either."""
        by_lambda = (one for one in self._index.written_by_lambda(datastore_id) if one not in seen)
        for image_set_id in (*sorted(known.keys() - seen), *by_lambda):
            ref = ImageSetRef(datastore_id, image_set_id)
            try:
                self._existing(ref)
            except UpstreamNotFound:
                self.remove(ref)
                report.removed += 1
                on_progress(report)
            except UpstreamError as error:
                self._note(ref, error, report)
