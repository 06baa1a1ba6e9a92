"""From a file to a parsed DICOM data set, or to the sentence that says why it is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from dicomweb_gateway.dicom.file_content import refuse_truncated, require_dicom
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.emulator.ingest.document import encodings_of
from dicomweb_gateway.emulator.ingest.values import texts
from dicomweb_gateway.errors import NotDicom, UnreadableDicom

_SOP_CLASS = 0x00080016
GROUPING_TAGS = {
    "StudyInstanceUID": (0x0020000D, "UI"),
    "SeriesInstanceUID": (0x0020000E, "UI"),
    "SOPInstanceUID": (0x00080018, "UI"),
    "StudyDate": (0x00080020, "DA"),
    "AccessionNumber": (0x00080050, "SH"),
    "PatientID": (0x00100020, "LO"),
    "StudyID": (0x00200010, "SH"),
    "SeriesNumber": (0x00200011, "IS"),
}
"""What decides which image set a file belongs to (healthimaging.md 2.5), with the instance's own name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which image set and instance a file is; `study_key` and `series_key` must agree within an image set."""

    study_uid: str
    series_uid: str
    instance_uid: str
    study_key: tuple[str, ...]
    series_key: tuple[str, ...]
    class_uid: str = ""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A data set as pydicom read it, elements still raw, and the transfer syntax of the file."""

    dataset: Dataset
    file_meta: Dataset | None
    transfer_syntax_uid: str
    little_endian: bool
    identity: Identity


def read_identity(path: str | PathLike[str]) -> Identity:
    """The identity of a file, reading no more of it than needed; UnreadableDicom with the reason else."""
    tags: Sequence[Any] = [tag for tag, _ in GROUPING_TAGS.values()]
    dataset = _read(path, stop_before_pixels=True, specific_tags=[*tags, _SOP_CLASS, 0x00041220])
    return identity_of(dataset)


def read_file(path: str | PathLike[str]) -> ParsedFile:
    """The whole file; UnreadableDicom when it is no DICOM, is cut off or lacks its UIDs."""
    dataset = _read(path)
    refuse_truncated(dataset)
    implicit, little_endian = dataset.original_encoding
    meta = getattr(dataset, "file_meta", None) or None
    syntax = str(meta.get("TransferSyntaxUID", "") or "") if meta is not None else ""
    if not syntax:
        syntax = (
            IMPLICIT_VR_LE if implicit else (EXPLICIT_VR_BE if little_endian is False else EXPLICIT_VR_LE)
        )
    return ParsedFile(dataset, meta, syntax, little_endian is not False, identity_of(dataset))


def identity_of(dataset: Dataset) -> Identity:
    """The identity in a data set; UnreadableDicom when a UID is missing or malformed."""
    found = {name: _text(dataset, tag, vr) for name, (tag, vr) in GROUPING_TAGS.items()}
    if not found["SOPInstanceUID"] and 0x00041220 in dataset:
        raise NotDicom("a DICOMDIR lists files and is no instance itself")
    if not any(found.values()):
        raise UnreadableDicom("every UID is missing: the file is cut off, or holds no DICOM instance")
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not found[name]:
            raise UnreadableDicom(f"{name} is missing or empty")
        if not is_valid_uid(found[name]):
            raise UnreadableDicom(f"{name} is not a valid UID: {found[name][:80]!r}")
    return Identity(
        study_uid=found["StudyInstanceUID"],
        series_uid=found["SeriesInstanceUID"],
        instance_uid=found["SOPInstanceUID"],
        study_key=tuple(found[n] for n in ("StudyDate", "AccessionNumber", "PatientID", "StudyID")),
        series_key=(found["SeriesNumber"],),
        class_uid=_text(dataset, _SOP_CLASS, "UI"),
    )


def _text(dataset: Dataset, tag: int, vr: str) -> str:
    if tag not in dataset:
        return ""
    raw = dataset.get_item(tag, keep_deferred=True)
    if not isinstance(raw, RawDataElement):
        return str(raw.value or "").strip(" \0")
    return "\\".join(texts(raw.value or b"", vr, encodings_of(dataset, []))).strip()


def _read(path: str | PathLike[str], **options: Any) -> Dataset:
    try:
        with Path(path).open("rb") as file:
            require_dicom(file)
            return pydicom.dcmread(file, force=True, **options)
    except UnreadableDicom:
        raise
    except MemoryError as error:
        raise UnreadableDicom("reading it needs more memory than an import may take") from error
    except Exception as error:
        if isinstance(error, IsADirectoryError):
            raise UnreadableDicom("the folder cannot be listed") from error
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableDicom(f"the file cannot be read: {error.strerror}") from error
        raise UnreadableDicom(f"not readable as DICOM: {error or type(error).__name__}") from error
