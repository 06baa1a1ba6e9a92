"""Values that whoever may write to a cache server cannot forge, swap or stretch.

A sealed value is a mark, the second since 1970 at which it ends (8 bytes), an HMAC-SHA-256 and the value; the
HMAC covers the key and the end too. Whoever has no secret reads values, but makes none.
"""

import hmac
import time
from struct import Struct

_MARK = b"DGS1"
_HEAD = Struct(">4sQ32s")
_PREFIX = "dicomweb-gateway:1"

OVERHEAD = _HEAD.size
"""Bytes that sealing adds."""

Key = tuple[str, ...]
"""Names a value: a namespace, then what tells it from others there."""


class Sealer:
    """Names and seals with `secret`, which all hosts of one service share."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def name(self, key: Key) -> str:
        """What `key` is called in the server: other services there have other names, and tell nothing."""
        digest = hmac.digest(self._secret, repr(key).encode("utf-8", "surrogatepass"), "sha256")
        return f"{_PREFIX}:{key[0]}:{digest.hex()}"

    def seal(self, name: str, value: bytes, seconds: float) -> bytes:
        """`value` as the server keeps it under `name`."""
        ends = int(time.time() + seconds)
        return _HEAD.pack(_MARK, ends, self._mac(name, ends, value)) + value

    def opened(self, name: str, sealed: bytes) -> bytes | None:
        """The value that was sealed for `name`, None when it is another, torn, forged or past its end."""
        if len(sealed) < OVERHEAD:
            return None
        mark, ends, mac = _HEAD.unpack_from(sealed)
        value = sealed[OVERHEAD:]
        if mark != _MARK or not hmac.compare_digest(mac, self._mac(name, ends, value)):
            return None
        return value if ends > time.time() else None

    def _mac(self, name: str, ends: int, value: bytes) -> bytes:
        return hmac.digest(self._secret, b"%s %d %s" % (name.encode(), ends, value), "sha256")
