"""What caches may do with an answer: browsers, CDNs, reverse proxies (RFC 9111; dicomweb.md H-5, H-6)."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

NO_CACHE = "private, no-cache"
"""Instances may be imported again, so DICOMweb answers are revalidated (H-5)."""

CdnCaching = Literal["private", "per-caller", "shared"]
"""Who may keep what HealthImaging's own addresses answer: the client alone, a cache for each caller, or a
cache for all whom it lets in."""

CREDENTIALS = ("Authorization", "Cookie", "token")
"""Request headers that tell one caller from another."""

_FOR_EVER = "max-age=31536000, immutable"


@dataclass(frozen=True)
class Caching:
    """The value of Cache-Control and the request headers that Vary names."""

    control: str
    vary: tuple[str, ...] = ()

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """As an answer carries them."""
        named = [("Vary", ", ".join(self.vary))] if self.vary else []
        return [*named, ("Cache-Control", self.control)]


REVALIDATED = Caching(NO_CACHE, ("Accept",))
"""Of answers below a base path."""


@lru_cache
def immutable(mode: CdnCaching) -> Caching:
    """Of what never changes at its address: frames, and metadata of a named version."""
    return Caching(f"{_scope(mode)}, {_FOR_EVER}", _vary(mode))


@lru_cache
def changing(mode: CdnCaching) -> Caching:
    """Of what may be kept but must be asked for again each time."""
    return Caching(f"{_scope(mode)}, no-cache", _vary(mode))


def _scope(mode: CdnCaching) -> str:
    return "private" if mode == "private" else "public"


def _vary(mode: CdnCaching) -> tuple[str, ...]:
    return CREDENTIALS if mode == "per-caller" else ()
