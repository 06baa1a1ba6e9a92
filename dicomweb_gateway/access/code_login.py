"""Login at an identity provider: authorization code with PKCE (RFC 7636; OpenID Connect Core 3.1).

Nothing is kept while a user is there. What is needed afterwards follows from a secret of this service, the
browser's own random value, which stands in a cookie, and the sealed `state` that comes back: so any instance
can finish what another began, and only for the browser that began it.
"""

import hmac
import os
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.claims import ClaimRules, Claims
from dicomweb_gateway.access.discovery import EndpointKeeper, Endpoints
from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.errors import (
    GatewayBusy,
    InsufficientScope,
    InvalidRequest,
    LoginUnavailable,
    Unauthenticated,
)

_LASTS = 900
"""Seconds that a user may take at the provider."""
_NONCE_BYTES = 12
_AT_ONCE = 8
"""Codes of a process that are exchanged at once: the other threads are left for those who have logged in."""
_LONGEST = 4096
_AGAIN = "this login was begun in another browser, or too long ago: log in again"


@dataclass(frozen=True, slots=True)
class CodeClient:
    """As which client the gateway logs its users in; a public one has no secret."""

    issuer: str
    client_id: str
    secret: str | None = None
    scopes: tuple[str, ...] = ("openid",)
    needed: tuple[str, ...] = ()
    """Scopes without which nobody comes in."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who has logged in, the id token that says so, and the path of ours that they wanted."""

    caller: Caller
    id_token: str
    wanted: str


class CodeLogin:
    """`ids` verifies tokens of the issuer by `rules`, those of its id tokens for this client; `bearers` are
    the logins by access tokens, whose rules for scopes, groups and names hold here too."""

    def __init__(
        self,
        client: CodeClient,
        rules: ClaimRules,
        bearers: OidcLogin,
        keeper: EndpointKeeper,
        fetcher: DocumentFetcher,
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._rules = replace(
            rules,
            audiences=frozenset({client.client_id}),
            clients=frozenset(),
            scopes=frozenset(),
            uses=frozenset({"id"}),
        )
        self._bearers = bearers
        self._keeper = keeper
        self._fetcher = fetcher
        self._secret = secret
        self._cipher = AESGCM(hmac.digest(secret, b"state", "sha256"))
        self._clock = clock
        self._turns = BoundedSemaphore(_AT_ONCE)

    @property
    def proof(self) -> str:
        """What changes when another provider or client is configured."""
        return sha256(f"{self._client.issuer}\0{self._client.client_id}".encode()).hexdigest()

    def begin(self, browser: str, redirect: str, wanted: str) -> str:
        """The address at the provider where the browser logs in; it comes back to `redirect`.

        `browser` is its own random value, `wanted` the path of ours that it is to get to. LoginUnavailable.
        """
        mark = os.urandom(16).hex()
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self._client.scopes),
            "state": self._state(browser, [int(self._clock()) + _LASTS, mark, wanted]),
            "nonce": self._follows("nonce", mark, browser),
            "code_challenge": _coded(sha256(self._follows("verifier", mark, browser).encode()).digest()),
            "code_challenge_method": "S256",
        }
        address = self._keeper.endpoints().authorization
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def finish(self, browser: str, redirect: str, answered: dict[str, str]) -> LoggedIn:
        """Who has logged in, by the parameters with which the browser came back to `redirect`.

        Raises InvalidRequest for what this browser did not begin, Unauthenticated and InsufficientScope where
        the provider or the rules refuse, LoginUnavailable, GatewayBusy.
        """
        mark, wanted = self._opened(browser, answered.get("state", ""))
        if answered.get("iss", self._client.issuer) != self._client.issuer:
            raise InvalidRequest("another identity provider answers than was asked")
        if "error" in answered:
            raise Unauthenticated("the identity provider refused the login")
        code = answered.get("code", "")
        if not 0 < len(code) <= _LONGEST:
            raise InvalidRequest("the identity provider's answer holds no code")
        tokens = self._exchanged(code, redirect, self._follows("verifier", mark, browser))
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise Unauthenticated("the identity provider tells nobody's name")
        claims, _ = self._bearers.verified(id_token)
        if not hmac.compare_digest(str(claims.get("nonce", "")), self._follows("nonce", mark, browser)):
            raise Unauthenticated("the id token is of another login")
        return LoggedIn(self._caller(claims, tokens), id_token, wanted)

    def logout_address(self, id_token: str, back: str) -> str | None:
        """Where the browser logs out at the provider, to come back to `back`; None without such a place."""
        try:
            end = self._keeper.endpoints().end_session
        except LoginUnavailable:
            return None
        if end is None:
            return None
        # Cognito's own name for where to come back to is another
        asked = {"client_id": self._client.client_id, "post_logout_redirect_uri": back, "logout_uri": back}
        if id_token:
            asked["id_token_hint"] = id_token
        return f"{end}{'&' if '?' in end else '?'}{urlencode(asked)}"

    def _caller(self, claims: Claims, tokens: dict[str, Any]) -> Caller:
        """By the access token, as everywhere else; where that is not for this gateway, by the id token."""
        caller, _ = self._rules.caller_of(claims, self._clock())
        self._check_party(claims)
        access = tokens.get("access_token")
        if isinstance(access, str) and access:
            try:
                return self._bearers.caller_of(access)
            except InsufficientScope:
                raise
            except Unauthenticated:
                pass
        told = tokens.get("scope")
        scopes = frozenset(told.split()) if isinstance(told, str) else frozenset(self._client.scopes)
        if not scopes.issuperset(self._client.needed):
            raise InsufficientScope("the login lacks a scope that is needed here")
        return replace(caller, client=caller.client or self._client.client_id, scopes=scopes)

    def _check_party(self, claims: Claims) -> None:
        """OpenID Connect Core 3.1.3.7: an id token for several names the one that it was given to."""
        party, audience = claims.get("azp"), claims.get("aud")
        is_for_several = isinstance(audience, list) and len(audience) > 1
        if party != self._client.client_id and (party is not None or is_for_several):
            raise Unauthenticated("the id token was given to another client")

    def _exchanged(self, code: str, redirect: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "client_id": self._client.client_id,
            "code_verifier": verifier,
        }
        endpoints = self._keeper.endpoints()
        headers = self._signed(form, endpoints)
        if not self._turns.acquire(blocking=False):
            raise GatewayBusy("too many logins at once; try again")
        try:
            answer = self._fetcher.post(endpoints.token, form, headers)
        except FetchError as error:
            if error.status is not None and 400 <= error.status < 500:
                raise Unauthenticated("the identity provider does not take the code") from None
            raise LoginUnavailable(str(error)) from None
        finally:
            self._turns.release()
        if not isinstance(answer, dict):
            raise LoginUnavailable("the identity provider answers nonsense")
        return answer

    def _signed(self, form: dict[str, str], endpoints: Endpoints) -> dict[str, str]:
        """Headers that show the client's secret, or it in the form."""
        if self._client.secret is None:
            return {}
        if not endpoints.takes_basic:
            form["client_secret"] = self._client.secret
            return {}
        pair = f"{quote(self._client.client_id, safe='')}:{quote(self._client.secret, safe='')}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _follows(self, purpose: str, mark: str, browser: str) -> str:
        return _coded(hmac.digest(self._secret, f"{purpose}\0{mark}\0{browser}".encode(), "sha256"))

    def _state(self, browser: str, content: list[Any]) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        return _coded(nonce + self._cipher.encrypt(nonce, orjson.dumps(content), browser.encode()))

    def _opened(self, browser: str, state: str) -> tuple[str, str]:
        """(mark, wanted path) of a login that `browser` began and that is not too old; InvalidRequest."""
        try:
            raw = urlsafe_b64decode(state[:_LONGEST] + "=" * (-len(state) % 4))
            content = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], browser.encode())
            until, mark, wanted = orjson.loads(content)
        except (ValueError, InvalidTag):
            raise InvalidRequest(_AGAIN) from None
        if not browser or until < self._clock():
            raise InvalidRequest(_AGAIN)
        return mark, wanted


def _coded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
