"""The keeper of an identity provider's keys: fetched beside the requests, and rarely."""

import logging
import time
from collections.abc import Callable
from threading import BoundedSemaphore, Event, RLock, Thread
from typing import Any

from dicomweb_gateway.access.discovery import discovered, safe_address
from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.keys import Key, KeySet, parse_key_set
from dicomweb_gateway.errors import LoginUnavailable

_LOG = logging.getLogger(__name__)
_ABANDON_SECONDS = 30.0
_MOST_FETCHES = 4
"""Under way at once, those that were given up among them."""
_FIRST_RETRY_SECONDS = 5.0
_DOWN = "the identity provider does not answer"


class Issuer:
    """An identity provider: its keys are at `jwks_url`, else where its discovery document says."""

    def __init__(self, issuer: str, jwks_url: str | None, fetcher: DocumentFetcher) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetcher = fetcher

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self._issuer} {self._jwks_url}"

    def fetch(self) -> KeySet:
        """Its keys as they are now; FetchError, also when there is none."""
        return parse_key_set(self.document())

    def document(self) -> Any:
        """The JWKS that it publishes now, with a key that can be used; FetchError."""
        found = self._fetcher.get(self._jwks_url or self._discovered())
        try:
            keys = parse_key_set(found)
        except ValueError as error:
            raise FetchError(f"what the identity provider answers {error}") from None
        if not keys.keys:
            raise FetchError("the identity provider has no key that can be used")
        return found

    def _discovered(self) -> str:
        """Where its keys are (OpenID Connect Discovery 1.0, 4)."""
        url = safe_address(discovered(self._issuer, self._fetcher), "jwks_uri", self._issuer)
        if url is None:
            raise FetchError("the discovery document names no safe address of keys")
        return url


class _Fetch:
    def __init__(self, began: float) -> None:
        self.began = began
        self.done = Event()


class KeyKeeper:
    """The keys that `fetch` gets, by id.

    They are fetched anew in the background once they are `ttl` seconds old, and hold for `outage` seconds
    while that fails. A key of unknown id causes one fetch in `interval` seconds, however many threads ask;
    before that `newer` is asked for keys that came after a moment (`clock`) by another way.
    those who ask meanwhile, `most_waiting` at a time, wait for it for `patience` seconds. All times are
    seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], KeySet],
        ttl: float = 3600.0,
        outage: float = 86_400.0,
        interval: float = 10.0,
        patience: float = 5.0,
        most_waiting: int = 32,
        clock: Callable[[], float] = time.monotonic,
        newer: Callable[[float], KeySet | None] = lambda _: None,
    ) -> None:
        self._fetch = fetch
        self._newer = newer
        self._ttl = ttl
        self._outage = outage
        self._interval = interval
        self._patience = patience
        self._clock = clock
        self._lock = RLock()
        self._waiting = BoundedSemaphore(most_waiting)
        self._fetches = BoundedSemaphore(_MOST_FETCHES)
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._running: _Fetch | None = None
        self._begun_at = float("-inf")
        self._hunted_at = float("-inf")

    def warm_up(self) -> None:
        """Fetch the keys before somebody needs them, without waiting."""
        self._begin(_FIRST_RETRY_SECONDS)

    def holds(self, key: Key) -> bool:
        """Whether `key` is one of the present keys; LoginUnavailable where there are none."""
        return key in self._present().held

    def key(self, kid: str | None, algorithm: str) -> Key | None:
        """The key that fits; None when there is none, also after looking for it anew.

        Raises LoginUnavailable where no keys are known, or too many wait for them.
        """
        keys = self._present()
        found = keys.fitting(kid, algorithm)
        if found is not None or kid is None or kid in keys.by_kid:
            return found
        known = self._newer(self._fetched_at)
        if known is not None:
            with self._lock:
                self._put(known)
        if kid not in self._present().by_kid:
            self._hunt(kid)
        return self._present().fitting(kid, algorithm)

    def _present(self) -> KeySet:
        """The keys that hold now; asks for newer ones in time."""
        age = self._clock() - self._fetched_at
        keys = self._keys
        if keys is None or age > self._outage:
            self._await(self._begin(_FIRST_RETRY_SECONDS))
            keys = self._keys
            if keys is None or self._clock() - self._fetched_at > self._outage:
                raise LoginUnavailable(_DOWN)
        elif age > self._ttl:
            self._begin(self._interval)
        return keys

    def _hunt(self, kid: str) -> None:
        """Look for a key that was made just now, but not again and again."""
        running = self._running
        if running is not None:
            # what was asked for before may be older than the key
            self._await(running)
            if kid in self._present().by_kid:
                return
        now = self._clock()
        with self._lock:
            if now - self._hunted_at >= self._interval:
                self._hunted_at = now
                running = self._begin(0.0)
            else:
                running = self._running
        self._await(running)

    def _begin(self, pause: float) -> _Fetch | None:
        """The fetch that is under way, or a new one; None when the last one began within `pause`."""
        now = self._clock()
        with self._lock:
            if self._running is not None and now - self._running.began < _ABANDON_SECONDS:
                return self._running
            if now - self._begun_at < pause or not self._fetches.acquire(blocking=False):
                return None
            self._begun_at = now
            self._running = begun = _Fetch(now)
            Thread(target=self._run, args=(begun,), name="identity provider's keys", daemon=True).start()
            return begun

    def _await(self, running: _Fetch | None) -> None:
        if running is None or running.done.is_set():
            return
        if not self._waiting.acquire(blocking=False):
            raise LoginUnavailable("too many requests wait for the identity provider's keys")
        try:
            running.done.wait(self._patience)
        finally:
            self._waiting.release()

    def _run(self, own: _Fetch) -> None:
        keys = None
        try:
            keys = self._fetch()
        except FetchError as error:
            _LOG.warning("keys of the identity provider: %s", error)
        except Exception as error:
            _LOG.error("keys of the identity provider: %s", type(error).__name__)
        finally:
            with self._lock:
                # one that was given up must not put older keys in the place of newer ones
                if self._running is own:
                    self._running = None
                    if keys is not None:
                        self._put(keys)
            self._fetches.release()
            own.done.set()

    def _put(self, keys: KeySet) -> None:
        """Have `keys` hold, unless newer ones do."""
        fetched_at = self._clock() if keys.fetched_at is None else keys.fetched_at
        if fetched_at >= self._fetched_at:
            self._keys, self._fetched_at = keys, fetched_at
