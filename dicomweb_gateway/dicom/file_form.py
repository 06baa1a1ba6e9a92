"""Whether a file is DICOM, by its first bytes, and how its data set is written (PS3.10 7; PS3.5 10)."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from dicomweb_gateway.dicom.element_walk import ElementWalk, Encoding
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.transfer_syntax import DEFLATED_LE, EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE
from dicomweb_gateway.errors import NotDicom, StorageUnavailable, UnreadableDicom

PREAMBLE = 128
_MOST_INFLATED = 256 << 20
"""Bytes that a deflated data set may have when it is unpacked."""
_INFLATE_BYTES = 1 << 20
_GROUP_LENGTH, _TRANSFER_SYNTAX = 0x00020000, 0x00020010


@dataclass(frozen=True, slots=True)
class FileForm:
    """A DICOM file: `walk` goes over its data set, of a deflated one over what it unpacks to.

    `has_prefix` and `has_meta` say whether the preamble with DICM and group 0002 are there.
    """

    transfer_syntax: str
    walk: ElementWalk
    unpacked: BinaryIO | None = None
    has_prefix: bool = True
    has_meta: bool = True

    def close(self) -> None:
        """Give up what was unpacked."""
        if self.unpacked is not None:
            self.unpacked.close()


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head`, 132 bytes or all there are, is DICOM: by content, not name.

    DICM after the preamble, or an element of group 0002 or 0008, as any object without preamble has.
    """
    return head[PREAMBLE : PREAMBLE + 4] == b"DICM" or _starts_a_dataset(head)


def _starts_a_dataset(head: bytes) -> bool:
    if len(head) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack_from(f"{order}HH", head)
        length = struct.unpack_from(f"{order}I", head, 4)[0]
        if group in (0x0002, 0x0008) and element <= 0x0100 and (head[4:6].isalpha() or length <= 0xFFFF):
            return True
    return False


def open_form(file: BinaryIO, length: int, space: SpoolSpace) -> FileForm:
    """The form of a file of `length` bytes; NotDicom for another kind of file, UnreadableDicom for a bad one.

    What the first element shows counts more than what the meta information says of implicit and explicit, as
    real files lie there. A deflated data set is unpacked into a file in `space`; one of more than 256 MB is
    refused, and StorageUnavailable comes where the disk does not take it.
    """
    file.seek(0)
    head = file.read(PREAMBLE + 4)
    if not head:
        raise NotDicom("the file is empty")
    if not is_dicom(head):
        raise NotDicom("not a DICOM file: no DICM prefix, and no data set at its start")
    has_prefix = head[PREAMBLE:] == b"DICM"
    begin = PREAMBLE + 4 if has_prefix else 0
    syntax, start = _meta(file, begin, length)
    has_meta = start > begin
    unpacked = None
    if syntax == DEFLATED_LE:
        file = unpacked = _inflated(file, start, space)
        start, length = 0, unpacked.seek(0, os.SEEK_END)
    file.seek(start)
    first = file.read(8)
    encoding = _encoding(first, syntax)
    if not syntax:
        syntax = _guessed(encoding)
    return FileForm(syntax, ElementWalk(file, start, length, encoding), unpacked, has_prefix, has_meta)


def _meta(file: BinaryIO, start: int, length: int) -> tuple[str, int]:
    """(transfer syntax, "" without one; where the data set begins)."""
    syntax = ""
    if _group_at(file, start) != 2:
        # a bare data set may be written in another way than meta information always is
        return syntax, start
    walk = ElementWalk(file, start, length, Encoding(is_implicit=False))
    for element in walk:
        if element.tag >> 16 != 2:
            break
        if element.tag == _TRANSFER_SYNTAX:
            syntax = walk.value(element).decode("ascii", "replace").strip(" \0")
        start = element.end
        if _group_at(file, start) != 2:
            break
    return syntax, start


def _group_at(file: BinaryIO, position: int) -> int:
    file.seek(position)
    head = file.read(2)
    return int.from_bytes(head, "little")


def _encoding(first: bytes, syntax: str) -> Encoding:
    has_vr = len(first) == 8 and first[4:6].isalpha() and first[4:6].isupper()
    is_swapped = len(first) == 8 and first[0] == 0 and first[1] != 0
    return Encoding(not has_vr, syntax == EXPLICIT_VR_BE or (not syntax and is_swapped))


def _guessed(encoding: Encoding) -> str:
    if encoding.is_implicit:
        return IMPLICIT_VR_LE
    return EXPLICIT_VR_BE if encoding.is_big_endian else EXPLICIT_VR_LE


def _inflated(file: BinaryIO, start: int, space: SpoolSpace) -> BinaryIO:
    """The data set that lies deflated from `start` on, unpacked; whoever walks it closes it."""
    with _disk_errors():
        target = space.new_file()
    file.seek(start)
    try:
        for data in _inflate(file):
            with _disk_errors():
                space.require(target.fileno(), len(data), _UNPACKED)
                while data:
                    data = data[target.write(data) :]
    except BaseException:
        target.close()
        raise
    return target


_UNPACKED = "the deflated data set, unpacked"


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"the disk does not take {_UNPACKED}") from error


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or file.read(_INFLATE_BYTES)
        if not packed:
            raise UnreadableDicom("the deflated data set ends early")
        try:
            data = unpacker.decompress(packed, _INFLATE_BYTES)
        except zlib.error as error:
            raise UnreadableDicom("the deflated data set cannot be unpacked") from error
        total += len(data)
        if total > _MOST_INFLATED:
            raise UnreadableDicom(f"the deflated data set unpacks to more than {_MOST_INFLATED} bytes")
        yield data
