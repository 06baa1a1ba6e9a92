"""A split metadata document as the whole that it was cut from (`split_document.py`)."""

import os
from collections.abc import Iterator
from struct import Struct

import orjson

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.split_document import Slices, SplitDocument, TextSlices

_SPAN = Struct("<QQ")
_PIECE = 1 << 20


def is_verbatim(table: bytes, text_length: int) -> bool:
    """Whether the text of a split document is all of the document, not its instances alone."""
    lengths = (end - start for start, end in _SPAN.iter_unpack(table))
    return bool(sum(lengths) != text_length)


def rebuilt(skeleton: bytes, slices: Slices) -> bytes:
    """The JSON of which `skeleton` holds numbers in the places of instances."""
    tree = orjson.loads(skeleton)
    for series in (tree["Study"].get("Series") or {}).values():
        instances = series.get("Instances") or {}
        for uid, number in instances.items():
            instances[uid] = slices.load(number)
    return orjson.dumps(tree)


def pieces_of_split(split: SplitDocument) -> Iterator[bytes]:
    """The document in memory, in pieces."""
    if not is_verbatim(split.table, len(split.text)):
        yield rebuilt(split.skeleton, TextSlices(split.table, split.text))
        return
    for start in range(0, len(split.text), _PIECE):
        yield split.text[start : start + _PIECE]


def pieces_of_file(descriptor: int, start: int, length: int) -> Iterator[bytes]:
    """`length` bytes of an open file from `start` on, in pieces; UpstreamFailed when it cannot be read."""
    while length:
        try:
            piece = os.pread(descriptor, min(_PIECE, length), start)
        except OSError as error:
            raise UpstreamFailed("the metadata document cannot be read from disk") from error
        if not piece:
            raise UpstreamFailed("the metadata document on disk was cut short")
        yield piece
        start += len(piece)
        length -= len(piece)
