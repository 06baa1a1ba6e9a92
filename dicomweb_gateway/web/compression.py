"""gzip for JSON and text answers (dicomweb.md H-7, J-8)."""

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from isal import isal_zlib

MINIMUM = 1024
"""Bytes below which compressing does not pay (J-8)."""

_LEVEL, _MEMORY = 2, 9
"""Of ISA-L. Metadata of 1,000 real CT instances: 72 KB in 0.9 ms; of zlib's level 5 about 65 KB in 20 ms.

ISA-L's own level 3 makes them 5 to 12 % smaller for ten times the CPU, which is half of all else.
"""
_GATHERED = 1 << 14
_GZIP = 31
_UNPACKED = 1 << 18
_WEIGHT = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_CODING = re.compile(r"\s*([A-Za-z0-9*_-]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?$")


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip is named, or `*`, with a weight above 0; the more exact name wins."""
    weights: dict[str, float] = {}
    for member in (accept_encoding or "").split(","):
        match = _CODING.match(member)
        if match:
            weights[match[1].lower()] = float(match[2]) if _WEIGHT.fullmatch(match[2] or "") else 1.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def gzip_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as one gzip member; browsers stop after the first of several."""
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP, _MEMORY)
    gathered: list[bytes] = []
    size = 0
    with closing_all(pieces):
        for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size < _GATHERED:
                continue
            data = compressor.compress(b"".join(gathered))
            gathered.clear()
            size = 0
            if data:
                yield data
        yield compressor.compress(b"".join(gathered)) + compressor.flush()


def gunzip_pieces(packed: Iterable[bytes]) -> Iterator[bytes]:
    """One gzip member, for a client that does not take it; pieces of bounded size."""
    unpacker = zlib.decompressobj(_GZIP)
    with closing_all(packed):
        for piece in packed:
            data = unpacker.decompress(piece, _UNPACKED)
            while data:
                yield data
                data = unpacker.decompress(unpacker.unconsumed_tail, _UNPACKED)
        rest = unpacker.flush()
        if rest:
            yield rest


@contextmanager
def closing_all(pieces: object) -> Iterator[None]:
    """Close `pieces`, if that can be done, when the block ends: a client that leaves stops the work (M-8)."""
    try:
        yield
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
