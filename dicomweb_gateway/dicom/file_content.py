"""What a file is, told by its content: DICOM or not, and whether its end is there."""

from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from dicomweb_gateway.dicom.file_form import PREAMBLE, is_dicom
from dicomweb_gateway.errors import NotDicom, UnreadableDicom

LARGEST_FILE = 4 << 30
"""Bytes of one file that HealthImaging imports (healthimaging.md 1.6)."""

_UNDEFINED_LENGTH = 0xFFFFFFFF


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
