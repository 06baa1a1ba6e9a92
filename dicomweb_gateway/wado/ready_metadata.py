"""Metadata answers kept ready on disk, each one gzip member (DESIGN 2; dicomweb.md J-8, H-5)."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dicomweb_gateway.imagesets.kept_files import HEADER, KeptFiles
from dicomweb_gateway.telemetry.catalogue import CACHE
from dicomweb_gateway.telemetry.meters import count

_BUDGET = 1 << 30
_PATIENCE = 0.5
"""Seconds that a request waits for another one that makes the same answer, before it makes it too."""


class ReadyAnswer(NamedTuple):
    """`file` stands at the first of `length` bytes of gzip, which unpack to `plain_length` bytes.

    Whoever gets it closes the file. `plain_length` is None where it cannot be told.
    """

    file: BinaryIO
    length: int
    plain_length: int | None


class ReadyMetadata:
    """Answers by key, below `folder`, shared by all processes of a host; at most `budget` bytes in all.

    A key must name everything that the answer depends on: image sets and their versions, what the caller may
    see, base URL, media type. Nothing is ever made anew under the same key.
    """

    def __init__(self, folder: Path, budget: int = _BUDGET) -> None:
        self._files = KeptFiles(folder, budget, ".gz")

    def find(self, key: str) -> ReadyAnswer | None:
        """The answer, None when it is not ready, torn or corrupt."""
        found = self._files.open(key)
        count(CACHE, ("ready_metadata", "miss" if found is None else "hit"))
        if found is None:
            return None
        file = os.fdopen(found.descriptor, "rb", buffering=0)
        file.seek(HEADER.size)
        return ReadyAnswer(file, found.length, _plain_length(found.descriptor, found.length))

    def turn(self, key: str) -> AbstractContextManager[bool]:
        """Let one request at a time make an answer; the others wait a little and look again."""
        return self._files.lock(key, _PATIENCE)

    def keeping(self, key: str, packed: Iterator[bytes]) -> Iterator[bytes]:
        """`packed` (one gzip member, in pieces), kept under `key` once all of it has passed here."""
        draft = self._files.draft(key)
        try:
            for piece in packed:
                draft.write(piece)
                yield piece
            kept = draft.keep()
            if kept is not None:
                os.close(kept.descriptor)
        finally:
            draft.drop()
            close = getattr(packed, "close", None)
            if close is not None:
                close()


def _plain_length(descriptor: int, length: int) -> int | None:
    """What the member's trailer says (RFC 1952 2.3.1): the length modulo 4 GB."""
    size = int.from_bytes(os.pread(descriptor, 4, HEADER.size + length - 4), "little")
    # gzip packs to a thousandth at best: only what is packed to less than 4 MB is surely below 4 GB
    return size if length < 1 << 22 else None
