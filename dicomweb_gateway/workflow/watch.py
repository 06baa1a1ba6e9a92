"""Keeps the index in step with HealthImaging's events (healthimaging.md 4.2).

Events may come twice, late, out of order or not at all. So an event only says which image set to look at:
what is indexed is what HealthImaging gives for it then, and now and then a synchronisation finds what no
event told of.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from dicomweb_gateway.errors import IndexUnavailable, UpstreamError, UpstreamNotFound
from dicomweb_gateway.imagesets.event_queue import QueuedMessage
from dicomweb_gateway.imagesets.events import ImageSetEvent, parse_event
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.telemetry.catalogue import WATCH_MESSAGES, WATCH_SECONDS
from dicomweb_gateway.telemetry.meters import count, observe
from dicomweb_gateway.workflow.sync import Synchroniser
from dicomweb_gateway.workflow.sync_report import SyncReport

_LOG = logging.getLogger(__name__)
Result = TypeVar("Result")

RECONCILE_SECONDS = 3600
"""Between two looks at what changed without an event."""

FULL_EVERY = 24
"""Every so many of them reads the whole list, which alone shows what was deleted without an event."""

OVERLAP = timedelta(hours=1)
"""How far a look reaches back beyond the last one: clocks differ, and lists lag."""

LONGEST_PAUSE = 60.0
"""Seconds between tries while queue or index do not answer."""


class Queue(Protocol):
    """Where messages come from; see `imagesets.event_queue.EventQueue`."""

    def receive(self) -> list[QueuedMessage]:
        """Some messages, waiting a while for the first."""
        ...

    def delete(self, handles: Sequence[str]) -> None:
        """Take messages out for good."""
        ...


class _Ended(BaseException):
    """The watcher was told to end; a BaseException, so that nothing on the way takes it for an error."""


class Watcher:
    """Follows a queue until `end` is called; `data_stores` gives the data stores to reconcile.

    Events of other data stores than `only` are dropped, when it is given. `polled_at` and `reconciled_at` are
    when the queue last answered, and when it was last looked for changes, by time.time; 0 before the first.
    """

    def __init__(
        self,
        queue: Queue,
        index: IndexWriter,
        synchroniser: Synchroniser,
        data_stores: Callable[[], Sequence[str]],
        only: Collection[str] = (),
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._queue = queue
        self._index = index
        self._synchroniser = synchroniser
        self._data_stores = data_stores
        self._only = frozenset(only)
        self._reconcile_seconds = reconcile_seconds
        self.polled_at = 0.0
        self.reconciled_at = 0.0
        self._rounds = 0
        self._next = 0.0
        self._since: datetime | None = None
        self._waiting = False
        self._ended = False

    def end(self) -> None:
        """Make `run` return soon: at once from waiting, else when the image sets under way are indexed.

        For a signal handler of the thread that runs. Messages that were received and not deleted come again.
        """
        self._ended = True
        if self._waiting:
            raise _Ended

    def run(self) -> None:
        """Until `end` is called. Index, queue and HealthImaging may fail meanwhile: they are asked again."""
        pause = 1.0
        try:
            while not self._ended:
                try:
                    self._round()
                    pause = 1.0
                except (IndexUnavailable, UpstreamError) as error:
                    _LOG.warning("watching goes on in %.0f s: %s", pause, error)
                    self._while_waiting(partial(time.sleep, pause))
                    pause = min(pause * 2, LONGEST_PAUSE)
        except _Ended:
            pass
        _LOG.info("watching ended")

    def _round(self) -> None:
        if time.monotonic() >= self._next:
            self.reconcile()
            self._next = time.monotonic() + self._reconcile_seconds
        messages = self._while_waiting(self._queue.receive)
        self.polled_at = time.time()
        self.follow(messages)

    def _while_waiting(self, wait: Callable[[], Result]) -> Result:
        """`wait()`, which `end` interrupts."""
        self._waiting = True
        try:
            if self._ended:
                raise _Ended
            return wait()
        finally:
            self._waiting = False

    def follow(self, messages: Sequence[QueuedMessage]) -> None:
        """Index what the messages tell of, then delete them.

        An image set that fails is noted in the index, from where it is tried again. A message that is no
        event is left to the queue's dead-letter queue. Raises IndexUnavailable, and then nothing that was
        not indexed is deleted.
        """
        newest: dict[tuple[str, str], ImageSetEvent] = {}
        told: dict[tuple[str, str], list[QueuedMessage]] = {}
        idle: list[str] = []
        for message in messages:
            try:
                event = parse_event(message.body)
            except ValueError as error:
                _LOG.warning("a message of the queue is no event (try %d): %s", message.tries, error)
                count(WATCH_MESSAGES, ("unreadable",))
                continue
            if event is None or not event.settled or not self._is_ours(event.datastore_id):
                idle.append(message.handle)
                count(WATCH_MESSAGES, ("left_out",))
                continue
            key = (event.datastore_id, event.image_set_id)
            told.setdefault(key, []).append(message)
            newest[key] = _later(newest.get(key), event)
        self._queue.delete(idle)
        for key, event in newest.items():
            if self._ended:
                return
            result = self._apply(event)
            self._queue.delete([message.handle for message in told[key]])
            _note(result, told[key])
        self._index.look_on()

    def reconcile(self) -> None:
        """Find what changed without an event, and try again what failed."""
        began = datetime.now(UTC)
        since = None if self._rounds % FULL_EVERY == 0 else self._since
        for datastore_id in self._data_stores():
            found = self._synchroniser.data_store(datastore_id, self._go_on, since)
            if found.indexed or found.removed or found.failures:
                _LOG.info(
                    "data store %s: %d indexed, %d removed, %d failed",
                    datastore_id,
                    found.indexed,
                    found.removed,
                    len(found.failures),
                )
        self._synchroniser.retry()
        self._since = began - OVERLAP
        self.reconciled_at = time.time()
        self._rounds += 1

    def _go_on(self, _report: SyncReport) -> None:
        if self._ended:
            raise _Ended

    def _is_ours(self, datastore_id: str) -> bool:
        return not self._only or datastore_id in self._only

    def _apply(self, event: ImageSetEvent) -> str:
        """Do what the event asks for; what became of it, in a word."""
        ref = ImageSetRef(event.datastore_id, event.image_set_id)
        if event.deleted:
            self._synchroniser.remove(ref)
            _LOG.info("image set %s is gone", ref.image_set_id)
            return "removed"
        indexed = self._index.version(ref)
        if event.version is not None and indexed is not None and indexed >= event.version:
            return "known"
        try:
            instances = self._synchroniser.image_set(ref)
        except UpstreamNotFound:
            _LOG.info("image set %s is gone", ref.image_set_id)
            return "removed"
        except UpstreamError as error:
            _LOG.warning("image set %s was not indexed: %s", ref.image_set_id, error)
            self._index.note_failure(ref, str(error))
            return "failed"
        _LOG.info("image set %s indexed, %d instances", ref.image_set_id, instances)
        return "indexed"


def _note(result: str, messages: Sequence[QueuedMessage]) -> None:
    now = time.time()
    for message in messages:
        count(WATCH_MESSAGES, (result,))
        if message.sent_at is not None and result != "failed":
            observe(WATCH_SECONDS, max(0.0, now - message.sent_at))


def _later(known: ImageSetEvent | None, event: ImageSetEvent) -> ImageSetEvent:
    """Of two events of one image set the one that says more; a deletion is final."""
    if known is None or event.deleted:
        return event
    if known.deleted or known.version is None:
        return known
    return event if event.version is None or event.version > known.version else known
