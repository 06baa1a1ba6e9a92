"""Ids of sessions and tickets, and what these hold, sealed with them.

Who reads the database alone reads nothing.
"""

import hmac
import os
import re
import secrets
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicomweb_gateway.access.caller import Caller

PROOF_HEADER = "X-CSRF-Token"
"""The header in which scripts of our pages prove that a session is theirs."""

_RANDOM_BYTES = 32
_TAG_DIGITS = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}\.[0-9a-f]{32}")
_NONCE_BYTES = 12


def digest_of(session_id: str) -> str:
    """What stands for the id wherever something is kept: 64 hexadecimal digits."""
    return sha256(session_id.encode()).hexdigest()


def new_id(secret: bytes) -> str:
    """A new id: 32 random bytes, and what shows that this service made it."""
    random = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{random}.{_tag(random, secret)}"


def looks_like_id(text: str) -> bool:
    """Whether `text` has the form of an id, whoever made it; no JSON Web Token and no API token has it."""
    return _ID.fullmatch(text) is not None


def is_id(text: str, secret: bytes) -> bool:
    """Whether `text` is an id that this service made, with `secret`: others need not be looked up."""
    if not looks_like_id(text):
        return False
    random, _, tag = text.partition(".")
    return hmac.compare_digest(tag, _tag(random, secret))


def _tag(random: str, secret: bytes) -> str:
    return hmac.digest(secret, random.encode(), "sha256").hex()[:_TAG_DIGITS]


def derived(session_id: str, purpose: str) -> str:
    """A secret that follows from the id and does not tell it: 64 hexadecimal digits."""
    return hmac.digest(session_id.encode(), purpose.encode(), "sha256").hex()


def seal(session_id: str, content: dict[str, Any]) -> str:
    """`content`, JSON values, for whoever has the id."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(session_id).encrypt(nonce, orjson.dumps(content), digest_of(session_id).encode())
    return b64encode(nonce + sealed).decode()


def opened(session_id: str, sealed: str) -> dict[str, Any] | None:
    """The content that was sealed; None for what is torn or of another session."""
    try:
        raw = b64decode(sealed, validate=True)
        aad = digest_of(session_id).encode()
        found = orjson.loads(_cipher(session_id).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad))
    except (ValueError, InvalidTag):
        return None
    return found if isinstance(found, dict) else None


def _cipher(session_id: str) -> AESGCM:
    return AESGCM(bytes.fromhex(derived(session_id, "content")))


def written_caller(caller: Caller) -> list[Any]:
    """`caller` as JSON values."""
    return [caller.name, caller.mode, caller.client, sorted(caller.groups), sorted(caller.scopes)]


def read_caller(written: list[Any]) -> Caller:
    """The caller that was written."""
    name, mode, client, groups, scopes = written
    return Caller(name, mode, client, frozenset(groups), frozenset(scopes))
