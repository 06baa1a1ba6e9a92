"""Image sets that HealthImaging no longer has, as one process remembers them (healthimaging.md 6.3-10)."""

import threading
import time
from collections import OrderedDict

from dicomweb_gateway.imagesets.store import ImageSetRef

REMEMBERED = 60.0
"""Seconds after which HealthImaging is asked again."""

MOST = 10_000
"""Image sets remembered at once; the one noted first is forgotten first."""


class GoneSets:
    """For an index that may not be written, where nobody else would remember; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: OrderedDict[tuple[str, str, str | None], float] = OrderedDict()

    def add(self, image_set: ImageSetRef) -> None:
        """Remember that HealthImaging answered 404 for this version."""
        with self._lock:
            key = _key(image_set)
            self._until.pop(key, None)
            self._until[key] = time.monotonic() + REMEMBERED
            while len(self._until) > MOST:
                self._until.popitem(last=False)

    def __contains__(self, image_set: ImageSetRef) -> bool:
        with self._lock:
            return self._until.get(_key(image_set), 0.0) > time.monotonic()


def _key(image_set: ImageSetRef) -> tuple[str, str, str | None]:
    return image_set.datastore_id, image_set.image_set_id, image_set.version_id
