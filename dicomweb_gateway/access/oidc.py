"""Tokens of an OpenID Connect provider: JWT (RFC 7519) signed by keys that it publishes."""

import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from jwt.algorithms import get_default_algorithms

from dicomweb_gateway.access.algorithms import ALGORITHMS
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.jwks import KeyKeeper
from dicomweb_gateway.access.kept import KeptCallers
from dicomweb_gateway.access.keys import Key
from dicomweb_gateway.errors import Unauthenticated

_KEPT_SECONDS = 300.0
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = ("jwt", "at+jwt", "application/jwt", "application/at+jwt")
"""Of a token for access (RFC 9068 2.1); other types are not taken for one (RFC 8725 3.11)."""
_VERIFIERS = {name: one for name, one in get_default_algorithms().items() if name in ALGORITHMS}
_LONGEST_ID = 512
_MALFORMED = "the token is malformed"


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    key: Key


class OidcLogin:
    """Callers by the tokens of one issuer.

    A token that was verified is kept for five minutes, not beyond its expiry nor beyond its key's removal.
    What a token's header says of where keys are (`jku`, `x5u`, `jwk`) is never looked at.
    """

    def __init__(
        self,
        rules: ClaimRules,
        keeper: KeyKeeper,
        algorithms: tuple[str, ...] = ALGORITHMS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._keeper = keeper
        self._algorithms = frozenset(algorithms).intersection(ALGORITHMS)
        self._clock = clock
        self._kept: KeptCallers[_Verified] = KeptCallers(clock=clock)

    def warm_up(self) -> None:
        """Have the keys fetched before somebody needs them."""
        self._keeper.warm_up()

    def caller_of(self, token: str) -> Caller:
        """Who bears `token`; Unauthenticated, InsufficientScope, LoginUnavailable."""
        digest = sha256(token.encode()).digest()
        kept = self._kept.get(digest)
        if kept is not None and self._keeper.holds(kept.key):
            return kept.caller
        claims, key = self.verified(token)
        now = self._clock()
        caller, until = self._rules.caller_of(claims, now)
        self._kept.put(digest, _Verified(caller, key), min(until, now + _KEPT_SECONDS))
        return caller

    def verified(self, token: str) -> tuple[Mapping[str, Any], Key]:
        """The claims of `token`, not looked at, and the key of the issuer that signed it.

        Raises Unauthenticated for any other, LoginUnavailable.
        """
        if not _COMPACT.fullmatch(token):
            raise Unauthenticated(_MALFORMED)
        header, payload, signature = token.split(".")
        algorithm, kid = self._checked_header(_document(header))
        key = self._keeper.key(kid, algorithm)
        if key is None:
            raise Unauthenticated("no key of the identity provider fits the token")
        signed = token.rpartition(".")[0].encode()
        # the key fits the algorithm, which is on our list: nothing that the token says is left to decide
        if not _VERIFIERS[algorithm].verify(signed, key.public, _decoded(signature)):
            raise Unauthenticated("the token's signature is wrong")
        return _document(payload), key

    def _checked_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        """(algorithm, id of the key); of what is not known nothing is passed over where it says so."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise Unauthenticated("the token is signed by an algorithm that is not taken")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise Unauthenticated("the token is of another type")
        if "crit" in header or "b64" in header:
            raise Unauthenticated("the token asks for what this gateway does not do")
        if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _LONGEST_ID):
            raise Unauthenticated(_MALFORMED)
        return algorithm, kid


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise Unauthenticated(_MALFORMED) from None


def _document(segment: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(_decoded(segment))
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unauthenticated(_MALFORMED)
    return found
