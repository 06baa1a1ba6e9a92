"""Walks the elements of a data set that lies in a file, reading heads and no values (PS3.5 7).

So a file of a gigabyte can be checked from end to end at the cost of its element heads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dicomweb_gateway.errors import UnreadableDicom

UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_DEEPEST = 64
_MOST_HEADS = 1_000_000
"""Of elements and items: what consists of nothing else would take minutes."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written."""

    is_implicit: bool
    is_big_endian: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its value is [`start`, `end`) of the file, with all items where the length is undefined.

    `vr` is empty where the file does not tell it.
    """

    tag: int
    vr: str
    start: int
    end: int
    is_undefined: bool


class ElementWalk:
    """The data set in [`start`, `end`) of `file`; UnreadableDicom where it is cut off or nonsense."""

    def __init__(self, file: BinaryIO, start: int, end: int, encoding: Encoding) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._encoding = encoding
        self._heads = 0
        order = ">" if encoding.is_big_endian else "<"
        self._pair = struct.Struct(f"{order}HH")
        self._short = struct.Struct(f"{order}H")
        self._whole = struct.Struct(f"{order}I")

    def __iter__(self) -> Iterator[Element]:
        """The elements of the top level, in their order."""
        position = self._start
        while self._end - position >= 8:
            element = self._element(position, self._encoding.is_implicit, 0)
            yield element
            position = element.end
        if position < self._end and self._read(position, self._end - position).strip(b"\0"):
            raise UnreadableDicom("the file ends inside the head of an element")

    def value(self, element: Element, most: int = 1 << 16) -> bytes:
        """The bytes of a value; UnreadableDicom where there are more than `most`."""
        if element.end - element.start > most:
            raise UnreadableDicom(f"element {_named(element.tag)} is too long")
        return self._read(element.start, element.end - element.start)

    def number(self, value: bytes | None) -> int:
        """The first US in a value, 0 without one."""
        return int(self._short.unpack_from(value)[0]) if value and len(value) >= 2 else 0

    def fragments(self, element: Element) -> list[int]:
        """Lengths of the items of encapsulated pixel data, the offset table first (PS3.5 A.4)."""
        self._heads = 0
        lengths: list[int] = []
        position = element.start
        while True:
            tag, length = self._item(position)
            if tag != _ITEM:
                return lengths
            lengths.append(length)
            position += 8 + length

    def _element(self, position: int, is_implicit: bool, depth: int) -> Element:
        head = self._head(position, 12)
        if len(head) < 8:
            raise UnreadableDicom("the file ends inside the head of an element")
        tag = self._tag(head)
        vr = head[4:6]
        if is_implicit or not (vr.isalpha() and vr.isupper()):
            start, vr, length = position + 8, b"", self._whole.unpack_from(head, 4)[0]
        elif vr in _LONG:
            if len(head) < 12:
                raise UnreadableDicom(f"the file ends inside the head of element {_named(tag)}")
            start, length = position + 12, self._whole.unpack_from(head, 8)[0]
        else:
            start, length = position + 8, self._short.unpack_from(head, 6)[0]
        if length != UNDEFINED:
            return Element(tag, vr.decode("ascii"), start, self._within(start + length, tag), False)
        # the items of an UN of undefined length are implicit (PS3.5 6.2.2)
        end = self._end_of_items(start, is_implicit or vr == b"UN", depth + 1, tag)
        return Element(tag, vr.decode("ascii"), start, end, True)

    def _end_of_items(self, position: int, is_implicit: bool, depth: int, owner: int) -> int:
        if depth > _DEEPEST:
            raise UnreadableDicom(f"sequences are nested more than {_DEEPEST} deep")
        while True:
            tag, length = self._item(position)
            position += 8
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM:
                raise UnreadableDicom(f"the items of element {_named(owner)} are malformed")
            if length == UNDEFINED:
                position = self._end_of_item(position, is_implicit, depth)
            else:
                position = self._within(position + length, owner)

    def _end_of_item(self, position: int, is_implicit: bool, depth: int) -> int:
        while self._item(position)[0] != _ITEM_END:
            position = self._element(position, is_implicit, depth).end
        return position + 8

    def _item(self, position: int) -> tuple[int, int]:
        """Tag and length of an item or a delimiter; of an element only the tag means something."""
        head = self._head(position, 8)
        if len(head) < 8:
            raise UnreadableDicom("the file ends inside a sequence or its pixel data")
        return self._tag(head), self._whole.unpack_from(head, 4)[0]

    def _head(self, position: int, length: int) -> bytes:
        self._heads += 1
        if self._heads > _MOST_HEADS:
            raise UnreadableDicom(f"it has more than {_MOST_HEADS} elements and items")
        return self._read(position, length)

    def _tag(self, head: bytes) -> int:
        group, number = self._pair.unpack_from(head)
        return int(group << 16 | number)

    def _within(self, position: int, tag: int) -> int:
        if position > self._end:
            missing = position - self._end
            raise UnreadableDicom(f"the file ends inside element {_named(tag)}, {missing} bytes are missing")
        return position

    def _read(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(min(length, self._end - position))


def _named(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
