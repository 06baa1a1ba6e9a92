"""Bulk data: whatever a BulkDataURI of ours names (dicomweb.md 4.5)."""

import re
from dataclasses import dataclass

from dicomweb_gateway.dicom.dictionary import parse_tag
from dicomweb_gateway.errors import CorruptMetadata, InvalidRequest, ResourceNotFound
from dicomweb_gateway.imagesets.elements import PIXEL_ELEMENTS, find_element
from dicomweb_gateway.imagesets.values import Tags, base64_bytes, text
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive, document_of

_OCTET_STREAM = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
"""RFC 6838 4.2; whatever else a file says of itself must not reach a header."""
_ITEM_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class BulkPath:
    """Where a value stands: `items` leads through sequences as (tag, 1-based item), then `tag`."""

    items: tuple[tuple[int, int], ...]
    tag: int

    @property
    def is_pixel_data(self) -> bool:
        """Whether it is the instance's own pixel data, which is answered as frames (B-4)."""
        return not self.items and self.tag in PIXEL_ELEMENTS


DOCUMENT = BulkPath((), 0x00420011)
"""An encapsulated document."""


def parse_bulk_path(path: str) -> BulkPath:
    """`tag[/item/tag...]`, tags as 8 hex digits, items from 1 (B-1); InvalidRequest when it is not that."""
    steps = path.split("/")
    tags = [parse_tag(step) for step in steps[::2]]
    numbers = [int(step) if _ITEM_NUMBER.fullmatch(step) else 0 for step in steps[1::2]]
    known = [tag for tag in tags if tag is not None]
    if len(known) != len(tags) or len(steps) % 2 == 0 or 0 in numbers or len(numbers) > _MAX_DEPTH:
        raise InvalidRequest("a bulk data path is tag[/item/tag...], tags of 8 hex digits, items from 1")
    return BulkPath(tuple(zip(known, numbers, strict=False)), known[-1])


def bulk_value(archive: Archive, record: InstanceRecord, path: BulkPath) -> tuple[bytes, str]:
    """The value's bytes, little endian, and its media type: the document's own for 00420011 (B-2, B-3)."""
    document = document_of(archive, record)
    merged = {key: value for level in document.levels for key, value in level.items()}
    found = find_element(merged, document.vrs, list(path.items), path.tag)
    if found is None or not isinstance(found.values, str):
        raise ResourceNotFound("the instance has no bulk data at this path")
    data = base64_bytes(found.values)
    if data is None:
        raise CorruptMetadata("HealthImaging sent a binary value that is not base64")
    return data, _document_type(merged) if path == DOCUMENT else _OCTET_STREAM


def _document_type(tags: Tags) -> str:
    named = (text(tags, "MIMETypeOfEncapsulatedDocument") or "").lower()
    return named if _MEDIA_TYPE.fullmatch(named) else _OCTET_STREAM
