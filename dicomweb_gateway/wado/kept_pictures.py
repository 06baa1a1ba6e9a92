"""Rendered images that are kept: in memory for minutes, on disk when asked again (dicomweb.md R-11)."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from dicomweb_gateway.imagesets.kept_files import HEADER, KeptFiles
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.telemetry.catalogue import CACHE
from dicomweb_gateway.telemetry.meters import count

_IN_MEMORY = 16 << 20
_SECONDS = 600.0
_MOST_ONCE = 10_000


class KeptPictures:
    """Pictures by key; those on disk lie below `folder` and take at most `budget` bytes, 0 for none.

    A key must name everything that a picture depends on: nothing is ever made anew under the same key. Many
    who ask for the same one in a process cause one to be made. A disk that fails only means that nothing is
    kept there.

    A picture goes to disk when it is asked a second time while memory holds it: writing costs a third of
    making it anew, and most pictures are asked once, since browsers keep them too.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._files = KeptFiles(folder, budget, ".picture")
        self._budget = budget
        self._hot: HotMap[bytes] = HotMap(_SECONDS, min(_IN_MEMORY, budget), len)
        self._once: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The picture, from here or from `make`, whose exceptions come through."""
        loaded = made = False

        def make_it() -> bytes:
            nonlocal made
            made = True
            return make()

        def load() -> bytes:
            nonlocal loaded
            loaded = True
            return self._load(key, make_it)

        picture = self._hot.get(key, load)
        count(CACHE, ("pictures", "miss" if made else "hit"))
        if not loaded and self._was_asked_once(key):
            self._write(key, picture)
        return picture

    def _load(self, key: str, make: Callable[[], bytes]) -> bytes:
        found = self._read(key) if self._budget else None
        if found is None:
            found = make()
            if len(found) <= self._budget:
                with self._lock:
                    self._once[key] = None
                    if len(self._once) > _MOST_ONCE:
                        self._once.popitem(last=False)
        return found

    def _was_asked_once(self, key: str) -> bool:
        """Whether nobody has been told so before."""
        with self._lock:
            return self._once.pop(key, key) is None

    def _read(self, key: str) -> bytes | None:
        file = self._files.open(key)
        if file is None:
            return None
        try:
            data = os.pread(file.descriptor, file.length, HEADER.size)
        except OSError:
            return None
        finally:
            os.close(file.descriptor)
        return data if len(data) == file.length else None

    def _write(self, key: str, data: bytes) -> None:
        draft = self._files.draft(key)
        try:
            draft.write(data)
            kept = draft.keep()
        finally:
            draft.drop()
        if kept is not None:
            os.close(kept.descriptor)
