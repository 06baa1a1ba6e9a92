"""Passwords as scrypt hashes: `scrypt$N$r$p$salt$hash`, salt and hash in base 64."""

import hmac
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import scrypt
from unicodedata import normalize

_SALT_BYTES = 16
_HASH_BYTES = 32
_MOST_MEMORY = 64 << 20
SHORTEST = 8
LONGEST = 1024
"""Characters of a password."""


@dataclass(frozen=True, slots=True)
class Cost:
    """scrypt's parameters: 128 `n` `r` bytes of memory, `p` times over."""

    n: int = 1 << 14
    r: int = 8
    p: int = 5

    @property
    def memory(self) -> int:
        """Bytes."""
        return 128 * self.n * self.r


DEFAULT = Cost()


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A hashed password."""

    cost: Cost
    salt: bytes
    hashed: bytes

    def fits(self, password: str) -> bool:
        """Whether it is that of `password`; takes as long whether or not."""
        return hmac.compare_digest(_hashed(password, self.salt, self.cost), self.hashed)

    def __str__(self) -> str:
        salt, hashed = b64encode(self.salt).decode(), b64encode(self.hashed).decode()
        return f"scrypt${self.cost.n}${self.cost.r}${self.cost.p}${salt}${hashed}"

    def __repr__(self) -> str:
        return "PasswordHash(...)"


def hash_password(password: str, cost: Cost = DEFAULT, salt: bytes | None = None) -> PasswordHash:
    """`password` with `salt`, by default a new one; ValueError for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = salt or os.urandom(_SALT_BYTES)
    return PasswordHash(cost, salt, _hashed(password, salt, cost))


def unknown_password(cost: Cost) -> PasswordHash:
    """What no password fits; to look is as dear as to look at one of `cost`."""
    return PasswordHash(cost, os.urandom(_SALT_BYTES), os.urandom(_HASH_BYTES))


def parse_hash(text: str) -> PasswordHash:
    """Out of the form above; ValueError for anything else, or what would take too much memory or time."""
    try:
        name, n, r, p, salt, hashed = text.split("$")
        cost = Cost(int(n), int(r), int(p))
        found = PasswordHash(cost, b64decode(salt, validate=True), b64decode(hashed, validate=True))
    except ValueError:
        name, found = "", unknown_password(DEFAULT)
    if name != "scrypt" or len(found.salt) < _SALT_BYTES // 2 or len(found.hashed) != _HASH_BYTES:
        raise ValueError("must be a hash that `users set` makes (scrypt$N$r$p$salt$hash)")
    if not _is_bearable(found.cost):
        raise ValueError("scrypt's N is a power of two and needs at most 64 MB, r and p are small")
    return found


def _is_bearable(cost: Cost) -> bool:
    is_power = cost.n > 1 and cost.n & (cost.n - 1) == 0
    return is_power and 1 <= cost.r <= 32 and 1 <= cost.p <= 16 and cost.memory <= _MOST_MEMORY


def _hashed(password: str, salt: bytes, cost: Cost) -> bytes:
    # clients compose letters in one way or the other
    text = normalize("NFC", password).encode()
    return scrypt(
        text, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=_MOST_MEMORY + (8 << 20), dklen=_HASH_BYTES
    )
