"""What a file is, told by its content: DICOM or not, and whether its end is there."""

import os
import struct
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from dicomweb_gateway.dicom.file_form import PREAMBLE, is_dicom
from dicomweb_gateway.dicom.transfer_syntax import DEFLATED_LE
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.errors import NotDicom, UnreadableDicom

LARGEST_FILE = 4 << 30
"""Bytes of one file that HealthImaging imports (healthimaging.md 1.6)."""

_UNDEFINED_LENGTH = 0xFFFFFFFF
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
_DIRECTORY = 0x00041220
_NAMES = {_STUDY: "StudyInstanceUID", _SERIES: "SeriesInstanceUID", _INSTANCE: "SOPInstanceUID"}
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN")
_PIXELS = 0x7FE0


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """The three names of the instance in a file."""

    study_uid: str
    series_uid: str
    instance_uid: str


def check_file(path: str | PathLike[str]) -> InstanceFile:
    """Which instance a file holds, its pixel data not read, only measured.

    Raises NotDicom for a file of another kind, UnreadableDicom with the reason for one that no import takes:
    unreadable, cut off, larger than HealthImaging allows, or without valid UIDs.
    """
    try:
        with Path(path).open("rb") as file:
            require_dicom(file)
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise UnreadableDicom("the file is larger than the 4 GB that HealthImaging takes")
            dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
            refuse_truncated(dataset)
            _refuse_short_pixels(file, dataset, size)
    except UnreadableDicom:
        raise
    except OSError as error:
        raise UnreadableDicom(f"the file cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise UnreadableDicom(f"not readable as DICOM: {error or type(error).__name__}") from error
    return _names(dataset)


def require_dicom(file: BinaryIO) -> None:
    """Content decides, not the name: DICM after the preamble, or the start of a bare data set."""
    head = file.read(PREAMBLE + 4)
    file.seek(0)
    if not head:
        raise NotDicom("the file is empty")
    if not is_dicom(head):
        raise NotDicom("not a DICOM file: no DICM prefix, and no data set at its start")


def refuse_truncated(dataset: Dataset) -> None:
    """UnreadableDicom when the file ends inside the last element of `dataset`, which is still raw."""
    tags = list(dataset.keys())
    last = dataset.get_item(max(tags), keep_deferred=True) if tags else None
    if isinstance(last, RawDataElement) and last.length not in (None, _UNDEFINED_LENGTH):
        held = len(last.value or b"")
        if held < last.length:
            raise UnreadableDicom(
                f"the file ends inside element {last.tag}: {held} of {last.length} bytes are there"
            )


def _names(dataset: Dataset) -> InstanceFile:
    found = {tag: str(dataset[tag].value or "").strip(" \0") if tag in dataset else "" for tag in _NAMES}
    if _DIRECTORY in dataset and not found[_INSTANCE]:
        raise NotDicom("a DICOMDIR lists files and is no instance itself")
    for tag, name in _NAMES.items():
        if not is_valid_uid(found[tag]):
            what = f"is not a valid UID: {found[tag][:80]!r}" if found[tag] else "is missing or empty"
            raise UnreadableDicom(f"{name} {what}")
    return InstanceFile(found[_STUDY], found[_SERIES], found[_INSTANCE])


def _refuse_short_pixels(file: BinaryIO, dataset: Dataset, size: int) -> None:
    """The element at which reading stopped, where there is one, must end within the file."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID") == DEFLATED_LE:
        return
    implicit, little_endian = dataset.original_encoding
    start = file.tell()
    head = file.read(12)
    order = "<" if little_endian is not False else ">"
    if len(head) < 12 or struct.unpack_from(f"{order}H", head)[0] != _PIXELS:
        return
    long_form = not implicit and head[4:6] in _LONG_VRS
    length = struct.unpack_from(f"{order}I", head, 8 if long_form else 4)[0]
    begins = start + (12 if long_form else 8)
    if length != _UNDEFINED_LENGTH and begins + length > size:
        raise UnreadableDicom(
            f"the file ends inside its pixel data: {size - begins} of {length} bytes are there"
        )
