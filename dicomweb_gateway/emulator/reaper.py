"""Finishes deletions a moment after they were accepted, as the service does (healthimaging.md 4.5)."""

import logging

from dicomweb_gateway.emulator.background import Background
from dicomweb_gateway.emulator.events import Events
from dicomweb_gateway.emulator.image_sets import finish_deletions
from dicomweb_gateway.emulator.storage import Storage

DELAY = 0.3
"""Seconds in which an image set can be seen LOCKED."""

log = logging.getLogger(__name__)


class Reaper(Background):
    """One thread; deletions that a crash interrupted are finished when it starts."""

    def __init__(self, storage: Storage, events: Events) -> None:
        super().__init__("reaper")
        self._storage = storage
        self._events = events

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stop.wait(DELAY):
                break
            try:
                for row in finish_deletions(self._storage):
                    self._events.image_set("Deleted", row, row["version"])
            except Exception:
                log.exception("deleting an image set failed; it is tried again at the next deletion or start")
