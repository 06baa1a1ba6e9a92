"""Entity tags and If-None-Match (RFC 9110 8.8.3, 13.1.2; dicomweb.md H-5, H-8)."""

import re
from hashlib import sha256

_TAG = re.compile(r'(?:W/)?"[^"]*"')


def strong_etag(*parts: str) -> str:
    """A strong tag, quotes included, that changes exactly when one of `parts` does."""
    return f'"{sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"'


def weak_etag(body: bytes) -> str:
    """A weak tag of a body that is made anew each time."""
    return f'W/"{sha256(body).hexdigest()[:32]}"'


def is_match(if_none_match: str | None, etag: str) -> bool:
    """Whether the client already holds `etag`: weak comparison over the list, `*` matches all."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(_opaque(tag) == _opaque(etag) for tag in _TAG.findall(if_none_match))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
