"""Has the index hold what was just stored, before anybody is told that it is (dicomweb.md S-1)."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from dicomweb_gateway.errors import UpstreamBusy, UpstreamError, UpstreamNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef, ImageSetSummary

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0


class Synchroniser(Protocol):
    """Indexes image sets; see `workflow.sync.Synchroniser`."""

    def listed(self, summaries: Iterable[ImageSetSummary]) -> int:
        """Those that the index does not hold at their version."""
        ...

    def image_set(self, ref: ImageSetRef) -> int:
        """One as it stands; UpstreamNotFound, after it was taken out of the index, when it is gone."""
        ...


class Arrivals:
    """Looks for the image sets of studies until the index holds what is said to be in them.

    `find` lists the image sets of a study of a data store, `missing` says which instances the index lacks,
    `changed` is called when it has changed.
    """

    def __init__(
        self,
        synchroniser: Callable[[], Synchroniser],
        find: Callable[[str, str], Iterable[ImageSetSummary]],
        missing: Callable[[str, Collection[str]], set[str]],
        changed: Callable[[], None],
    ) -> None:
        self._synchroniser = synchroniser
        self._find = find
        self._missing = missing
        self._changed = changed

    def index(self, datastore_id: str, instances: Mapping[str, set[str]], deadline: float) -> None:
        """Index `instances`, by study. HealthImaging may list them a moment late: it is asked again.

        UpstreamBusy when they are not there by `deadline` (time.monotonic); they are stored all the same, and
        the next synchronisation finds them.
        """
        synchroniser = self._synchroniser()
        waiting = dict(instances)
        pause = _FIRST_PAUSE
        while True:
            try:
                for study_uid in waiting:
                    self._look(synchroniser, datastore_id, study_uid)
            finally:
                self._changed()
            waiting = {
                study_uid: left
                for study_uid, uids in waiting.items()
                if (left := self._missing(datastore_id, uids))
            }
            if not waiting:
                return
            if time.monotonic() + pause >= deadline:
                raise UpstreamBusy("all is stored, but HealthImaging does not list it yet")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def catch_up(self, datastore_id: str, study_uids: Collection[str]) -> None:
        """Index what HealthImaging has of studies that the index does not know; UpstreamError."""
        synchroniser = self._synchroniser()
        if sum([self._look(synchroniser, datastore_id, study_uid) for study_uid in sorted(study_uids)]):
            self._changed()

    def refresh(self, datastore_id: str, image_set_ids: Collection[str]) -> None:
        """Index image sets as they are now, whatever HealthImaging lists of them; UpstreamError."""
        synchroniser = self._synchroniser()
        for image_set_id in sorted(image_set_ids):
            # one that is gone has left the index
            with suppress(UpstreamNotFound):
                synchroniser.image_set(ImageSetRef(datastore_id, image_set_id))
        self._changed()

    def _look(self, synchroniser: Synchroniser, datastore_id: str, study_uid: str) -> int:
        """Index the image sets of a study; one that fails keeps no other out, and is raised at the end.

        How many were new or newer.
        """
        trouble = None
        indexed = 0
        for summary in self._find(datastore_id, study_uid):
            try:
                indexed += synchroniser.listed([summary])
            except UpstreamError as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return indexed
