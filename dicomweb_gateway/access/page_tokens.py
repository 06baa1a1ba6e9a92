"""Tokens that say where the next page of a search begins, sealed: nobody reads or makes them but we.

What is sealed is encrypted too, and of a length that tells little: how far a search had to go through what is
hidden is nobody's business.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicomweb_gateway.errors import InvalidRequest

_NONCE = 12
_STEP = 512
"""Bytes; texts are filled up to a multiple."""
_NONE = "nextToken is none that this search gave to this caller"


class PageTokens:
    """Seals and opens with a key that follows from `secret`, which all hosts of a service share."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(sha256(b"page tokens\0" + secret).digest())

    def seal(self, text: str, about: str) -> str:
        """`text` as a token that holds for `about` only: the caller and what was asked."""
        plain = text.encode() + b"\1"
        plain += bytes(-len(plain) % _STEP)
        nonce = os.urandom(_NONCE)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, about.encode())).decode()

    def opened(self, token: str, about: str) -> str:
        """What was sealed; InvalidRequest for a token of another caller or search, and for junk."""
        try:
            sealed = urlsafe_b64decode(token.encode("ascii"))
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except (ValueError, InvalidTag):
            raise InvalidRequest(_NONE) from None
        return plain.rstrip(b"\0")[:-1].decode()
