"""An identity provider's keys as all web processes of a gateway hold them: asked for by one, read by all.

They lie in a file of the gateway's run folder, which goes with it. It is locked while the provider is asked,
so however many processes look for a key that is unknown, the provider is asked once in an interval.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.access.fetching import FetchError
from dicomweb_gateway.access.jwks import Issuer
from dicomweb_gateway.access.keys import KeySet, parse_key_set

_LOG = logging.getLogger(__name__)
_FAILED_SECONDS = 5.0
"""So soon a provider that did not answer may be asked again."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What the file says: when somebody asked last, when keys came last, and which (time.monotonic)."""

    asked: float = float("-inf")
    fetched: float = float("-inf")
    document: Any = None

    @property
    def has_failed(self) -> bool:
        """Whether who asked last got no keys."""
        return self.fetched < self.asked


class SharedKeys:
    """The keys of `issuer`, by way of a file in `folder`; asked for once in `interval` seconds at most."""

    def __init__(
        self,
        issuer: Issuer,
        folder: Path,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = sha256(issuer.name.encode()).hexdigest()[:16]
        self._issuer = issuer
        self._path = folder / f"keys-{name}.json"
        self._interval = interval
        self._clock = clock
        self._seen = 0

    def fetch(self) -> KeySet:
        """The keys as they are now, or as another process got them a moment ago; FetchError."""
        try:
            with self._held() as held:
                return self._fetched(held)
        except OSError as error:
            _LOG.warning("keys cannot be shared with the other processes: %s", error.strerror)
            return parse_key_set(self._issuer.document())

    def newer(self, than: float) -> KeySet | None:
        """Keys that another process got after `than`; None where there are none. Costs a look at the file."""
        try:
            changed = os.stat(self._path).st_mtime_ns
        except OSError:
            return None
        if changed == self._seen:
            return None
        self._seen = changed
        held = self._read()
        return _keys(held) if held.document is not None and held.fetched > than else None

    def _fetched(self, held: _Held) -> KeySet:
        now = self._clock()
        wait = min(self._interval, _FAILED_SECONDS) if held.has_failed else self._interval
        if now - held.asked < wait:
            if held.document is None:
                raise FetchError("the identity provider was asked a moment ago and did not answer")
            return _keys(held)
        held = replace(held, asked=now)
        self._write(held)
        document = self._issuer.document()
        held = _Held(now, self._clock(), document)
        self._write(held)
        return _keys(held)

    @contextmanager
    def _held(self) -> Iterator[_Held]:
        """What the file says, which nobody else changes meanwhile."""
        with open(self._path.with_suffix(".lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read()

    def _read(self) -> _Held:
        with suppress(OSError, ValueError, TypeError):
            return _Held(**orjson.loads(self._path.read_bytes()))
        return _Held()

    def _write(self, held: _Held) -> None:
        new = self._path.with_suffix(".new")
        told = asdict(held)
        if held.document is None:
            del told["fetched"]
        new.write_bytes(orjson.dumps(told))
        new.replace(self._path)


def _keys(held: _Held) -> KeySet:
    return replace(parse_key_set(held.document), fetched_at=held.fetched)
