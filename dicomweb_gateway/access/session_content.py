"""What a session holds, sealed with its id: whoever reads the database without the ids reads nothing."""

import hmac
import os
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


def digest_of(session_id: str) -> str:
    """What stands for the id wherever something is kept: 64 hexadecimal digits."""
    return sha256(session_id.encode()).hexdigest()


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
