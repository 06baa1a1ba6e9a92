"""What searches had found when their time was over, so that whoever asks again goes on from there."""

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway.imagesets.shared_documents import SharedBytes

_NAMESPACE = "image-set-search"
_DONE = b""
"""What the tier holds of a page that has been answered: others forget theirs."""


class PageStart(NamedTuple):
    """Where a page begins: HealthImaging's token of a page of its own, None for the first, and rows in it
    that went before."""

    token: str | None = None
    skipped: int = 0


class SearchSoFar(NamedTuple):
    """Rows that were found, what HealthImaging says of their order, where to go on, pages looked through."""

    rows: list[dict[str, Any]]
    sort: Any
    start: PageStart
    pages: int = 0


class KeptSearches:
    """How long one answer may search (`pages` of HealthImaging's, `seconds`), and what comes of it then.

    Each is kept for `keep_seconds` and all together take `most_bytes` of memory; the oldest makes room, and
    whose was lost begins anew. `tier` is the cache of all hosts and processes, None for none. Safe from any
    thread.
    """

    def __init__(
        self,
        tier: SharedBytes | None = None,
        pages: int = 100,
        seconds: float = 20.0,
        keep_seconds: float = 120.0,
        most_bytes: int = 8 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pages = pages
        self.seconds = seconds
        self._tier = tier
        self._keep_seconds = keep_seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    def get(self, search: str) -> SearchSoFar | None:
        """What was found for `search`, the text that tells one caller's page from all others."""
        key = _key(search)
        told = None if self._tier is None else self._tier.get((_NAMESPACE, key))
        with self._lock:
            if told == _DONE:
                self._forget(key)
            value, until = self._kept.get(key, (b"", 0.0))
        own = _read(value) if self._clock() < until else None
        theirs = _read(told or b"")
        # another process may have got further
        return max((one for one in (own, theirs) if one is not None), key=lambda one: one.pages, default=None)

    def put(self, search: str, found: SearchSoFar) -> None:
        """Keep `found` for a while."""
        value = orjson.dumps((found.rows, found.sort, tuple(found.start), found.pages))
        key = _key(search)
        with self._lock:
            self._forget(key)
            self._kept[key] = value, self._clock() + self._keep_seconds
            self._bytes += len(value)
            while self._bytes > self._most_bytes:
                self._forget(next(iter(self._kept)))
        if self._tier is not None:
            self._tier.put((_NAMESPACE, key), value, self._keep_seconds)

    def drop(self, search: str) -> None:
        """Its page has been answered: who asks for it again gets what there is then."""
        key = _key(search)
        with self._lock:
            self._forget(key)
        if self._tier is not None:
            self._tier.put((_NAMESPACE, key), _DONE, self._keep_seconds)

    def _forget(self, key: str) -> None:
        value, _ = self._kept.pop(key, (b"", 0.0))
        self._bytes -= len(value)


def _key(search: str) -> str:
    return sha256(search.encode()).hexdigest()


def _read(value: bytes) -> SearchSoFar | None:
    if not value:
        return None
    rows, sort, start, pages = orjson.loads(value)
    return SearchSoFar(rows, sort, PageStart(*start), pages)
