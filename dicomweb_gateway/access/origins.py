"""Origins of web pages, as CORS_ORIGINS lists them and as browsers name them (dicomweb.md H-1)."""

import re
from functools import lru_cache
from ipaddress import ip_address

ANY = "*"
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<label>\*\.)?"
    r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def listed_origin(text: str) -> str:
    """A member of CORS_ORIGINS in its normal form: `*`, an origin, or one with `*.` for a label of its host.

    ValueError, a sentence, for anything else.
    """
    if text == ANY:
        return text
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or int(found["port"] or 0) > 65535:
        raise ValueError(f"{text!r} is no origin: write scheme://host[:port], scheme://*.host[:port] or *")
    return _written(found)


@lru_cache(maxsize=512)
def normal_origin(text: str) -> str | None:
    """An Origin header in its normal form; None for `null` and what is no single origin."""
    found = _ORIGIN.fullmatch(text.lower())
    return None if found is None or found["label"] else _written(found)


@lru_cache(maxsize=512)
def is_listed(origin: str, listed: tuple[str, ...]) -> bool:
    """Whether the Origin header `origin` is one of `listed`, which are as `listed_origin` writes them."""
    if ANY in listed:
        return True
    normal = normal_origin(origin)
    if normal is None:
        return False
    scheme, _, rest = normal.partition("://")
    label, dot, parent = rest.partition(".")
    return normal in listed or (bool(label and dot) and f"{scheme}://*.{parent}" in listed)


@lru_cache(maxsize=512)
def is_loopback_origin(origin: str) -> bool:
    """Whether the page comes from this machine itself."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None or found["label"]:
        return False
    name = found["host"].strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _written(found: re.Match[str]) -> str:
    port = found["port"]
    if port is not None:
        port = str(int(port))
    shown = "" if port is None or port == _DEFAULT_PORTS.get(found["scheme"]) else f":{port}"
    return f"{found['scheme']}://{found['label'] or ''}{found['host']}{shown}"
