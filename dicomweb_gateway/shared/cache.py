"""The shared tier: what one host has brought the others need not ask HealthImaging for.

It has no effect but speed: what is slow, full, gone, wrong or forged there is a miss.
"""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from urllib.parse import urlsplit

from dicomweb_gateway.shared.addresses import SharedCacheConfig, host_and_port
from dicomweb_gateway.shared.backend import Backend
from dicomweb_gateway.shared.lane import Lane
from dicomweb_gateway.shared.sealing import OVERHEAD, Key, Sealer
from dicomweb_gateway.telemetry.catalogue import CACHE, SHARED_EVENTS
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import span

_APART = {name: (CACHE, ("shared", result)) for name, result in (("hits", "hit"), ("misses", "miss"))}


class SharedCache:
    """Values by key, in the servers of `config`, sealed with `secret`; safe from any thread."""

    def __init__(self, config: SharedCacheConfig, secret: bytes) -> None:
        self._config = config
        self._sealer = Sealer(secret)
        self._counts = Tally(SHARED_EVENTS, _APART)
        self._lanes = [
            Lane(name, connect, config.timeout, self._counts) for name, connect in _servers(config)
        ]

    def get(self, key: Key) -> bytes | None:
        """The value that was put under `key`, None without one; raises nothing, waits `timeout` at most."""
        name = self._sealer.name(key)
        with span("shared"):
            sealed = self._lane(name).get(name, self._config.item_bytes)
        if sealed is None:
            self._counts.add("misses")
            return None
        value = self._sealer.opened(name, sealed)
        self._counts.add("wrong" if value is None else "hits")
        return value

    def put(self, key: Key, value: bytes, seconds: float | None = None) -> None:
        """Have `value` kept for `seconds`, None for the setting; returns at once, promises nothing."""
        if len(value) + OVERHEAD > self._config.item_bytes:
            self._counts.add("too_large")
            return
        name = self._sealer.name(key)
        kept = self._config.seconds if seconds is None else seconds
        self._lane(name).put(name, self._sealer.seal(name, value, kept), max(1, int(kept)))

    def counts(self) -> dict[str, int | float]:
        """What happened so far: hits, misses, wrong (torn, swapped or forged), failures, skipped, ..."""
        return self._counts.snapshot()

    def look(self) -> None:
        """Ask each server, so that one that is down or back is known though nobody needs it."""
        name = self._sealer.name(("look",))
        for lane in self._lanes:
            lane.get(name, self._config.item_bytes)

    @property
    def down(self) -> tuple[str, ...]:
        """The servers that are left alone for now; nothing fails for it."""
        return tuple(lane.name for lane in self._lanes if lane.is_down)

    def ask_all(self) -> None:
        """OSError that names a server which does not answer; for `check`."""
        for name, connect in _servers(self._config):
            backend = None
            try:
                backend = connect()
                backend.get(self._sealer.name(("look",)), self._config.item_bytes)
            except Exception as error:
                raise OSError(f"{name} does not answer ({type(error).__name__})") from error
            finally:
                if backend is not None:
                    backend.close()

    def _lane(self, name: str) -> Lane:
        """The server of a value: adding one moves only the values that become its own."""
        if len(self._lanes) == 1:
            return self._lanes[0]
        return max(self._lanes, key=lambda lane: sha256(f"{lane.name} {name}".encode()).digest())


def _servers(config: SharedCacheConfig) -> Sequence[tuple[str, Callable[[], Backend]]]:
    """Name and connection maker of each server; names hold no password."""
    # the clients come in here: Redis' alone takes a tenth of a web process's start, and few have either
    if config.redis_url is not None:
        from dicomweb_gateway.shared.redis_server import RedisServer

        parts = urlsplit(config.redis_url)
        name = f"{parts.hostname}:{parts.port or 6379}"
        return [(name, partial(RedisServer, config.redis_url, config.timeout))]
    from dicomweb_gateway.shared.memcached import Memcached

    return [(one, partial(Memcached, host_and_port(one), config.timeout)) for one in config.memcached]
