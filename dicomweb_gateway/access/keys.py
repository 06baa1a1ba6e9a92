"""The public keys of an identity provider: JSON Web Keys (RFC 7517), and which algorithms each is for."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from dicomweb_gateway.access.algorithms import EC_ALGORITHMS, RSA_ALGORITHMS

_LOG = logging.getLogger(__name__)

PublicKey = RSAPublicKey | EllipticCurvePublicKey
_MOST_KEYS = 100
_RSA_BITS = range(2048, 8193)
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signatures are checked with; two with the same `text` are one."""

    text: str
    """The JWK, canonical."""
    kid: str | None = field(compare=False)
    algorithms: frozenset[str] = field(compare=False)
    public: PublicKey = field(compare=False, repr=False)


@dataclass(frozen=True)
class KeySet:
    """The keys of one moment; `fetched_at` by time.monotonic, None for now."""

    keys: tuple[Key, ...]
    fetched_at: float | None = field(default=None, compare=False)

    @cached_property
    def held(self) -> frozenset[Key]:
        """All of them."""
        return frozenset(self.keys)

    @cached_property
    def by_kid(self) -> Mapping[str | None, tuple[Key, ...]]:
        """Those of each id: RFC 7517 4.5 lets keys of different types share one."""
        ids = {key.kid for key in self.keys}
        return {kid: tuple(key for key in self.keys if key.kid == kid) for kid in ids}

    def fitting(self, kid: str | None, algorithm: str) -> Key | None:
        """The key that signs with `algorithm` and is called `kid`; without a name the only one there is."""
        among = self.keys if kid is None else self.by_kid.get(kid, ())
        found = [key for key in among if algorithm in key.algorithms]
        return found[0] if len(found) == 1 else None


def parse_key_set(document: Any) -> KeySet:
    """The keys of a JWKS that can check signatures; others are passed over. ValueError for no JWKS."""
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > _MOST_KEYS:
        raise ValueError(f"is no JWKS with at most {_MOST_KEYS} keys")
    return KeySet(tuple(_keys(rows)))


def _keys(rows: Iterable[Any]) -> Iterable[Key]:
    for row in rows:
        try:
            yield _key(row)
        except (ValueError, TypeError, PyJWTError) as error:
            # of our own errors only: what libraries say may hold the key
            _LOG.info("a key is passed over: %s", error if type(error) is ValueError else "it is malformed")


def _key(row: Any) -> Key:
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    kid = row.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _LONGEST_ID):
        raise ValueError("its id is no text")
    if row.get("use", "sig") != "sig" or "verify" not in (row.get("key_ops") or ["verify"]):
        raise ValueError("it is not for signatures")
    if "d" in row or "k" in row:
        raise ValueError("it is secret, and yet published")
    public, algorithms = _public(row)
    stated = row.get("alg")
    if stated is not None:
        algorithms &= frozenset([stated] if isinstance(stated, str) else [])
    if not algorithms:
        raise ValueError("it is for no algorithm that is taken")
    return Key(orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode(), kid, algorithms, public)


def _public(row: dict[str, Any]) -> tuple[PublicKey, frozenset[str]]:
    kind = row.get("kty")
    if kind == "RSA":
        rsa = RSAAlgorithm.from_jwk(row)
        if not isinstance(rsa, RSAPublicKey) or rsa.key_size not in _RSA_BITS:
            raise ValueError("it is too short or too long")
        return rsa, frozenset(RSA_ALGORITHMS)
    curve = row.get("crv")
    if kind == "EC" and isinstance(curve, str) and curve in EC_ALGORITHMS:
        point = ECAlgorithm.from_jwk(row)
        if isinstance(point, EllipticCurvePublicKey):
            return point, frozenset([EC_ALGORITHMS[curve]])
    raise ValueError("it is of no kind that is taken")
