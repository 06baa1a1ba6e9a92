"""Metadata documents of known versions, shared by the hosts of one service (7.1, cache tier)."""

import zlib
from typing import Protocol

from isal import isal_zlib

from dicomweb_gateway.imagesets.store import ImageSetRef

_NAMESPACE = "document"
_GZIP = 31
_MOST_BYTES = 512 << 20


class SharedBytes(Protocol):
    """The part of `shared.cache.SharedCache` that is used here."""

    def get(self, key: tuple[str, ...]) -> bytes | None:
        """The value, None without one; raises nothing."""
        ...

    def put(self, key: tuple[str, ...], value: bytes, seconds: float | None = None) -> None:
        """Have the value kept."""
        ...


class SharedDocuments:
    """Documents as compressed JSON in `tier`; one without a version changes, and is not shared."""

    def __init__(self, tier: SharedBytes) -> None:
        self._tier = tier

    def get(self, ref: ImageSetRef) -> bytes | None:
        """The document's JSON, None when no host has told it."""
        key = _key(ref)
        packed = None if key is None else self._tier.get(key)
        if packed is None:
            return None
        unpacker = zlib.decompressobj(_GZIP)
        try:
            text = unpacker.decompress(packed, _MOST_BYTES)
        except zlib.error:
            return None
        return text if unpacker.eof else None

    def put(self, ref: ImageSetRef, text: bytes) -> None:
        """Tell the other hosts."""
        key = _key(ref)
        if key is not None:
            self._tier.put(key, isal_zlib.compress(text, 1, _GZIP))


def _key(ref: ImageSetRef) -> tuple[str, ...] | None:
    if ref.version_id is None:
        return None
    return _NAMESPACE, ref.datastore_id, ref.image_set_id, ref.version_id
