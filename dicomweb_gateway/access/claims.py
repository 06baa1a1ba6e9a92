"""What a verified token says: whether it is meant for this gateway, and who its bearer is."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.errors import InsufficientScope, Unauthenticated

Claims = Mapping[str, Any]
GROUP_CLAIMS = ("cognito:groups", "groups", "roles", "realm_access.roles")
CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")
"""RFC 9068 and Cognito, OpenID Connect, Okta, Entra: the first that is there counts."""
ANY = "*"
_MOST_GROUPS = 1024
_LONGEST = 255
_OTHER_KINDS = {"ID": "id", "REFRESH": "refresh", "OFFLINE": "refresh", "LOGOUT": "logout"}
"""Keycloak's claim `typ`, as Cognito's claim `token_use` would say it."""

_OF_ID_TOKENS = ("at_hash", "c_hash", "s_hash")
"""Claims that bind an id token to what was issued with it (OpenID Connect Core 3.3.2.11; FAPI)."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What must hold of a token.

    `audiences` and `clients`: one of them must be named by `aud`, and by one of CLIENT_CLAIMS; empty: any.
    `scopes` must all be there. `uses` are the kinds that `token_use` may tell. `names` and `groups` are the
    claims that name the caller, the first that is there, and their groups, all of them; dots lead inside.
    `leeway` is in seconds.
    """

    issuer: str
    audiences: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset({"access"})
    names: tuple[str, ...] = ("sub",)
    groups: tuple[str, ...] = GROUP_CLAIMS
    leeway: float = 30.0

    def caller_of(self, claims: Claims, now: float) -> tuple[Caller, float]:
        """(who bears the token, until when it holds by Unix time); Unauthenticated, InsufficientScope.

        `now` is Unix time.
        """
        until = self._checked_times(claims, now)
        self._check_destination(claims)
        client, scopes = _client(claims), _scopes(claims)
        if not self.scopes <= scopes:
            raise InsufficientScope(f"the token lacks the scope {' '.join(sorted(self.scopes - scopes))}")
        groups = frozenset(one for name in self.groups for one in _texts(_found(claims, name)))
        if len(groups) > _MOST_GROUPS:
            raise Unauthenticated("the token names too many groups")
        return Caller(self._name(claims), "oidc", client, groups, scopes), until

    def _checked_times(self, claims: Claims, now: float) -> float:
        expires = _moment(claims, "exp")
        if expires is None:
            raise Unauthenticated("the token does not expire")
        if now >= expires + self.leeway:
            raise Unauthenticated("the token has expired")
        for name in ("nbf", "iat"):
            if (_moment(claims, name) or 0.0) > now + self.leeway:
                raise Unauthenticated("the token does not hold yet")
        return expires + self.leeway

    def _check_destination(self, claims: Claims) -> None:
        if claims.get("iss") != self.issuer:
            raise Unauthenticated("the token is of another issuer")
        if self.audiences and self.audiences.isdisjoint(_texts(claims.get("aud"))):
            raise Unauthenticated("the token is for another audience")
        if self.clients and self.clients.isdisjoint(_clients(claims, self.uses)):
            raise Unauthenticated("the token is for another client")
        kind = _kind(claims)
        if kind is not None and kind not in self.uses:
            raise Unauthenticated("the token is not for access")

    def _name(self, claims: Claims) -> str:
        for claim in (*self.names, *CLIENT_CLAIMS):
            name = _found(claims, claim)
            if name is None or name == "":
                continue
            if not isinstance(name, str) or len(name) > _LONGEST or not name.isprintable():
                break
            return name
        raise Unauthenticated("the token names nobody")


def _kind(claims: Claims) -> Any:
    if "token_use" in claims:
        return claims["token_use"] if isinstance(claims["token_use"], str) else ""
    if any(name in claims for name in _OF_ID_TOKENS):
        return "id"
    return _OTHER_KINDS.get(str(claims.get("typ", "")).upper())


def _client(claims: Claims) -> str:
    """The application that the token was given to, "" where it does not tell."""
    for claim in CLIENT_CLAIMS:
        if isinstance(claims.get(claim), str):
            return str(claims[claim])
    return ""


def _clients(claims: Claims, uses: frozenset[str]) -> Iterable[str]:
    """The names by which the client may be known: an id token names it as its audience."""
    yield _client(claims)
    if "id" in uses and _kind(claims) == "id":
        yield from _texts(claims.get("aud"))


def _scopes(claims: Claims) -> frozenset[str]:
    scopes: set[str] = set()
    for claim in ("scope", "scp"):
        for text in _texts(claims.get(claim)):
            scopes.update(text.split())
    return frozenset(scopes)


def _moment(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 2); None where there is none; Unauthenticated for anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated(f"the token's {name} is no time")
    return float(value)


def _found(claims: Claims, path: str) -> Any:
    """The claim of that name, or what the names between dots lead to; None for nothing."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one]
