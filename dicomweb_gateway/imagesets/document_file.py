"""A split metadata document as a kept file: head and table are read when it is opened, instances when asked.

Payload: skeleton length and table length (little endian, 8 bytes each), the digest of the text (zeros where
nobody needs it), skeleton, table, text.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import blake2b
from struct import Struct
from typing import Any

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.kept_files import HEADER, Draft, KeptFile
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, assemble
from dicomweb_gateway.imagesets.split_document import SplitDocument, TextSlices, load_instance, span_of
from dicomweb_gateway.imagesets.whole_document import (
    is_verbatim,
    pieces_of_file,
    pieces_of_split,
    rebuilt,
)

_DIGEST_SIZE = 16
_HEAD = Struct("<QQ16s")
_PARSED = 5
"""Memory of a parsed skeleton and its map of instances, by the length of the skeleton in JSON."""


class OpenDocument:
    """A document and what holds it: `weight` in bytes of memory, `read_at` in seconds of its clock.

    `digest` is 32 hex digits of the document's text, zeros when it was written without. `pieces` gives its
    JSON. Until `trusted_until`, in seconds of the monotonic clock, it is served however old it is.
    """

    __slots__ = ("digest", "document", "pieces", "trusted_until", "weight", "written_at")

    def __init__(
        self,
        document: ImageSetDocument,
        digest: str,
        weight: int,
        written_at: float,
        pieces: Callable[[], Iterator[bytes]],
    ) -> None:
        self.document = document
        self.pieces = pieces
        self.digest = digest
        self.weight = weight
        self.written_at = written_at
        self.trusted_until = 0.0


def write_document(draft: Draft, split: SplitDocument, digested: bool) -> KeptFile | None:
    """Keep the document, with its digest if `digested`; None when the disk does not take it."""
    digest = _digest(split) if digested else bytes(_DIGEST_SIZE)
    draft.write(_HEAD.pack(len(split.skeleton), len(split.table), digest))
    for piece in (split.skeleton, split.table, split.text):
        draft.write(piece)
    return draft.keep()


def open_document(file: KeptFile) -> OpenDocument:
    """The document in a kept file, whose descriptor is closed with it; UpstreamFailed when it is none."""
    slices = _FileSlices(file.descriptor)
    skeleton_length, table_length, digest = _HEAD.unpack(_read(file.descriptor, HEADER.size, _HEAD.size))
    start = HEADER.size + _HEAD.size
    skeleton = _read(file.descriptor, start, skeleton_length)
    slices.table = _read(file.descriptor, start + skeleton_length, table_length)
    slices.origin = start + skeleton_length + table_length
    slices.length = HEADER.size + file.length - slices.origin
    slices.skeleton = (start, skeleton_length)
    weight = len(skeleton) * _PARSED + table_length
    return OpenDocument(assemble(skeleton, slices), digest.hex(), weight, file.written_at, slices.pieces)


def document_in_memory(split: SplitDocument, written_at: float, digested: bool) -> OpenDocument:
    """The document where no disk takes it."""
    weight = len(split.skeleton) * _PARSED + len(split.table) + len(split.text)
    document = assemble(split.skeleton, TextSlices(split.table, split.text))
    digest = _digest(split) if digested else bytes(_DIGEST_SIZE)
    return OpenDocument(document, digest.hex(), weight, written_at, partial(pieces_of_split, split))


class _FileSlices:
    """Instances out of an open file; a file that is swept meanwhile stays readable until it is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.table = b""
        self.origin = 0
        self.length = 0
        self.skeleton = (0, 0)
        weakref.finalize(self, os.close, descriptor)

    def load(self, number: int) -> dict[str, Any]:
        start, length = span_of(self.table, number)
        return load_instance(_read(self._descriptor, self.origin + start, length))

    def pieces(self) -> Iterator[bytes]:
        """The document's JSON."""
        if is_verbatim(self.table, self.length):
            yield from pieces_of_file(self._descriptor, self.origin, self.length)
        else:
            yield rebuilt(_read(self._descriptor, *self.skeleton), self)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    try:
        data = os.pread(descriptor, length, offset)
    except OSError as error:
        raise UpstreamFailed("the metadata document cannot be read from disk") from error
    if len(data) != length:
        raise UpstreamFailed("the metadata document on disk was cut short")
    return data


def _digest(split: SplitDocument) -> bytes:
    digest = blake2b(split.skeleton, digest_size=_DIGEST_SIZE)
    digest.update(split.text)
    return digest.digest()
