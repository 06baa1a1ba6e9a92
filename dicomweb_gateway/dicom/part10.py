"""The DICOM file format (PS3.10 7) around pixel data that streams: heads, fragment framing, tails."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import pack

from pydicom.dataset import Dataset

from dicomweb_gateway.dicom.element_bytes import data_set_bytes
from dicomweb_gateway.dicom.pixel_description import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PixelDescription,
)

IMPLEMENTATION_CLASS_UID = "2.25.218637894421607153064226830472165204817"
IMPLEMENTATION_VERSION = "DCMWEB_GATEWAY_1"
PREFIX = b"\0" * 128 + b"DICM"
"""The preamble, and what tells a DICOM file."""

_PIXEL_DATA = 0x7FE00010
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS, _TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
_ABOUT_FRAGMENTS = (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS, _TOTAL_LENGTH)
"""Elements that describe the fragments of the file that was imported, which are not those of ours."""
_TAGS = {FLOAT_PIXEL_DATA: 0x7FE00008, DOUBLE_FLOAT_PIXEL_DATA: 0x7FE00009}
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_LAST_OFFSET = 0xFFFFFFFF
_LARGEST_ELEMENT = 0xFFFFFFFE


@dataclass(frozen=True, slots=True)
class Framing:
    """What stands around the frames of one file: `head`, then per frame `before[i]`, the frame, `after[i]`,
    then `tail`. All little endian; frames go in as they are.
    """

    head: bytes
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    tail: bytes


def file_head(class_uid: str, instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and group 0002 of a file with a data set of these (PS3.10 7.1)."""
    meta = (
        pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\0\1")
        + _meta(0x0002, b"UI", class_uid)
        + _meta(0x0003, b"UI", instance_uid)
        + _meta(0x0010, b"UI", transfer_syntax_uid)
        + _meta(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
        + _meta(0x0013, b"SH", IMPLEMENTATION_VERSION)
    )
    return PREFIX + pack("<HH2sHI", 0x0002, 0, b"UL", 4, len(meta)) + meta


def without_pixels(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    """A whole Part 10 file of `dataset`, which has no pixel data."""
    return _file_head(dataset, transfer_syntax_uid) + data_set_bytes(dataset)


def native(dataset: Dataset, transfer_syntax_uid: str, pixels: PixelDescription, length: int) -> Framing:
    """Framing of a file with native pixel data of `length` bytes in all, which come as one run.

    `before` and `after` have one entry: the run is the only frame to frame here. The VR is OW for more
    than 8 bits allocated and for packed bits, else OB (PS3.5 8.1, A.2); odd lengths are padded. Raises
    ValueError when the run does not fit one element.
    """
    tag = _TAGS.get(pixels.keyword, _PIXEL_DATA)
    vr = {0x7FE00008: b"OF", 0x7FE00009: b"OD"}.get(tag, b"OB" if pixels.bits_allocated == 8 else b"OW")
    padded = length + length % 2
    if padded > _LARGEST_ELEMENT:
        raise ValueError(f"native pixel data of {length} bytes does not fit a DICOM element")
    before, after = _split(_without_fragments(dataset), tag)
    head = _file_head(dataset, transfer_syntax_uid) + data_set_bytes(before)
    head += pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, padded)
    return Framing(head, (b"",), (b"\0" * (length % 2),), data_set_bytes(after))


def encapsulated(dataset: Dataset, transfer_syntax_uid: str, lengths: Sequence[int]) -> Framing:
    """Framing of encapsulated frames of `lengths` bytes, one fragment each (PS3.5 A.4).

    A Basic Offset Table is written; an Extended Offset Table takes its place when an offset does not fit
    32 bits (PS3.3 C.7.6.3.1.8). Odd frames get one pad byte, which the offset tables do not count as data.
    Raises ValueError for a frame that does not fit one fragment.
    """
    padded = [length + length % 2 for length in lengths]
    if max(padded, default=0) > _LARGEST_ELEMENT:
        raise ValueError(f"a frame of {max(lengths)} bytes does not fit a DICOM fragment")
    offsets = [0, *accumulate(size + 8 for size in padded[:-1])] if padded else []
    dataset = _without_fragments(dataset)
    fits = not offsets or offsets[-1] <= _LAST_OFFSET
    if not fits:
        dataset.add_new(_EXTENDED_OFFSETS, "OV", pack(f"<{len(offsets)}Q", *offsets))
        dataset.add_new(_EXTENDED_LENGTHS, "OV", pack(f"<{len(lengths)}Q", *lengths))
    table = pack(f"<{len(offsets)}I", *offsets) if fits else b""
    before, after = _split(dataset, _PIXEL_DATA)
    head = _file_head(dataset, transfer_syntax_uid) + data_set_bytes(before)
    head += pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + _ITEM + pack("<I", len(table)) + table
    return Framing(
        head,
        tuple(_ITEM + pack("<I", size) for size in padded),
        tuple(b"\0" * (length % 2) for length in lengths),
        _SEQUENCE_END + data_set_bytes(after),
    )


def _without_fragments(dataset: Dataset) -> Dataset:
    """A shallow copy of `dataset` that says nothing of fragments."""
    elements = dataset._dict
    return Dataset({tag: elements[tag] for tag in elements if int(tag) not in _ABOUT_FRAGMENTS})


def _split(dataset: Dataset, tag: int) -> tuple[Dataset, Dataset]:
    """The elements before `tag` and those after it."""
    elements = dataset._dict
    return (
        Dataset({one: elements[one] for one in elements if int(one) < tag}),
        Dataset({one: elements[one] for one in elements if int(one) > tag}),
    )


def _file_head(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    class_uid, instance_uid = (str(dataset.get(name) or "") for name in ("SOPClassUID", "SOPInstanceUID"))
    return file_head(class_uid, instance_uid, transfer_syntax_uid)


def _meta(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("latin-1")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return pack("<HH2sH", 0x0002, element, vr, len(value)) + value
