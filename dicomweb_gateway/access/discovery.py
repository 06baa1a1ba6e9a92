"""What an identity provider's discovery document says (OpenID Connect Discovery 1.0, 4)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any

from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.urls import is_safe_url
from dicomweb_gateway.errors import LoginUnavailable

_TTL = 3600.0
_PAUSE = 5.0
_MOST_WAITING = 8
"""Threads of a process: the others are left for those who have logged in."""


def discovered(issuer: str, fetcher: DocumentFetcher) -> Mapping[str, Any]:
    """The discovery document of `issuer`; FetchError, also where it is another's."""
    document = fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    found = document if isinstance(document, dict) else {}
    if found.get("issuer") != issuer:
        raise FetchError("the discovery document is of another issuer than the configured one")
    return found


def safe_address(document: Mapping[str, Any], name: str, issuer: str) -> str | None:
    """The address that `name` tells; None where there is none that can be believed."""
    url = document.get(name)
    if not isinstance(url, str) or not is_safe_url(url) or _scheme(url) < _scheme(issuer):
        return None
    return url


def _scheme(url: str) -> str:
    """The text order is that of trust: an issuer elsewhere has nothing on this machine."""
    return url.partition(":")[0].lower()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where browsers log in and out, None where no logout is offered, and where codes are exchanged.

    `takes_basic`: whether a client's secret goes in the header there (OAuth 2.0, 2.3.1), else in the form.
    """

    authorization: str
    token: str
    end_session: str | None
    takes_basic: bool


class EndpointKeeper:
    """The endpoints of `issuer`, fetched at first use and anew every hour; known ones outlast an outage."""

    def __init__(
        self, issuer: str, fetcher: DocumentFetcher, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._lock = Lock()
        self._waiting = BoundedSemaphore(_MOST_WAITING)
        self._known: Endpoints | None = None
        self._ask_at = float("-inf")

    def endpoints(self) -> Endpoints:
        """As they were told last; LoginUnavailable while none are known, or too many wait for them."""
        if not self._waiting.acquire(blocking=False):
            raise LoginUnavailable("too many logins wait for the identity provider")
        try:
            return self._newest()
        finally:
            self._waiting.release()

    def _newest(self) -> Endpoints:
        with self._lock:
            if self._clock() >= self._ask_at:
                try:
                    self._known = self._fetch()
                    self._ask_at = self._clock() + _TTL
                except FetchError as error:
                    self._ask_at = self._clock() + _PAUSE
                    if self._known is None:
                        raise LoginUnavailable(f"no login there now: {error}") from None
            if self._known is None:
                raise LoginUnavailable("the identity provider does not answer")
            return self._known

    def _fetch(self) -> Endpoints:
        document = discovered(self._issuer, self._fetcher)
        authorization, token, end = (
            safe_address(document, name, self._issuer)
            for name in ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
        )
        if authorization is None or token is None:
            raise FetchError("the discovery document names no safe address to log in at")
        methods = document.get("token_endpoint_auth_methods_supported")
        takes_basic = not isinstance(methods, list) or "client_secret_basic" in methods
        return Endpoints(authorization, token, end, takes_basic)
