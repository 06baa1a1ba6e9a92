"""Checks one part of a request before anything is stored: what it is, and that all of it is there."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import BinaryIO

from pydicom.charset import convert_encodings, decode_bytes, default_encoding

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword
from dicomweb_gateway.dicom.element_walk import Element, ElementWalk
from dicomweb_gateway.dicom.file_form import FileForm, open_form
from dicomweb_gateway.dicom.part10 import PREFIX, file_head
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.store_response import MISMATCH, NOT_UNDERSTOOD, UNKNOWN_SYNTAX
from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.errors import NotDicom, UnreadableDicom
from dicomweb_gateway.index.owners import Grouping, grouping_of
from dicomweb_gateway.sight import TRAITS, Traits

_CHARACTER_SET = 0x00080005
_DIRECTORY = 0x00041220
_MOST_VALUE = 4096
"""Bytes of a value that is read; HealthImaging takes texts of 256 characters (healthimaging.md 2)."""
_UIDS = {
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
}
_GROUPING = {
    0x00080020: "StudyDate",
    0x00080050: "AccessionNumber",
    0x00200010: "StudyID",
    0x00200011: "SeriesNumber",
}
_PIXELS = {0x7FE00010: None, 0x7FE00008: 32, 0x7FE00009: 64}
"""Elements of pixels, with the bits of a sample where the element tells them."""
_LAYOUT = {
    0x00280002: "samples",
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280100: "bits",
    0x00280004: "photometric",
    0x00280008: "frames",
}
_IMAGE = {"samples", "rows", "columns", "bits"}
_LONGEST_PATIENT = 256
"""Characters that HealthImaging takes (healthimaging.md 1.6), and the index holds to tell patients apart."""
_PATIENT = ("PatientID", "IssuerOfPatientID")
_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C}
_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")


class RefusedPart(Exception):
    """A part that is not stored: `code` of PS3.18 annex I.2, and the UIDs as far as they are known."""

    def __init__(self, code: int, reason: str, class_uid: str = "", instance_uid: str = "") -> None:
        self.code, self.reason = code, reason
        self.class_uid, self.instance_uid = class_uid, instance_uid
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Instance:
    """What a part says of itself; `traits` are what access rules ask for, texts decoded and stripped.

    `grouping` is what HealthImaging groups by beside patient and UIDs (healthimaging.md 2.5).
    `head` is what stands before the part to make it a file of PS3.10 7, where it is none.
    """

    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str
    traits: Traits
    grouping: Grouping
    head: bytes = b""

    @property
    def kept(self) -> "Instance":
        """The same with its patient alone: what rules ask is asked once, and a request has many parts."""
        traits = {name: self.traits[name] for name in _PATIENT if name in self.traits}
        return replace(self, traits=traits)

    @property
    def patient(self) -> tuple[str, str]:
        """PatientID and its issuer, "" where there is none."""
        return self.traits.get("PatientID") or "", self.traits.get("IssuerOfPatientID") or ""


def check_part(file: BinaryIO, length: int, study_uid: str | None, space: SpoolSpace) -> Instance:
    """What lies in `file`, which has `length` bytes; RefusedPart unless it can be stored.

    A deflated data set is unpacked into `space`. The cause of what is refused is NotDicom for what is no
    instance at all, and no damaged one.

    Whole to the last element, its UIDs present and valid, of `study_uid` where that is given, in a transfer
    syntax that is known, with as much pixel data as it says.
    """
    values: dict[int, bytes] = {}
    try:
        with closing(open_form(file, length, space)) as form:
            pixels = _read(form.walk, values)
            found = _instance(values)
            if _DIRECTORY in values and not found.instance_uid:
                raise NotDicom("a DICOMDIR lists files and is no instance itself")
            _check_uids(found)
            names = (found.class_uid, found.instance_uid)
            if any(len(text) > _LONGEST_PATIENT for text in found.patient):
                reason = f"{' or '.join(_PATIENT)} has over {_LONGEST_PATIENT} characters"
                raise RefusedPart(NOT_UNDERSTOOD, reason, *names)
            if study_uid is not None and found.study_uid != study_uid:
                raise RefusedPart(MISMATCH, "it belongs to another study than the address", *names)
            if transfer_syntax(form.transfer_syntax) is None:
                raise RefusedPart(UNKNOWN_SYNTAX, "its transfer syntax is not known", *names)
            layout = {name: values[tag] for tag, name in _LAYOUT.items() if tag in values}
            reason = _wrong_pixels(form.walk, pixels, form.transfer_syntax, layout)
            if reason:
                raise RefusedPart(MISMATCH, reason, *names)
            return replace(found, head=_head(form, found))
    except UnreadableDicom as error:
        class_uid, instance_uid = (_uid(values.get(tag)) for tag in (0x00080016, 0x00080018))
        class_uid = class_uid if is_valid_uid(class_uid) else ""
        known = (class_uid, instance_uid) if is_valid_uid(instance_uid) else ()
        raise RefusedPart(NOT_UNDERSTOOD, str(error), *known) from error


def _read(walk: ElementWalk, values: dict[int, bytes]) -> Element | None:
    """Walk all elements, put the wanted values into `values`; the element of the pixels.

    UnreadableDicom where one of them stands there twice (PS3.5 7.1): HealthImaging might go by the other one
    than what is judged here, and file under one patient what was let in as another's.
    """
    pixels = None
    for element in walk:
        if element.tag == _DIRECTORY:
            values[element.tag] = b""
        elif element.tag in values:
            raise UnreadableDicom(
                f"element ({element.tag >> 16:04X},{element.tag & 0xFFFF:04X}) stands twice"
            )
        elif element.tag in _wanted_tags():
            values[element.tag] = walk.value(element, _MOST_VALUE)
        elif element.tag in _PIXELS:
            pixels = element
    return pixels


@lru_cache(maxsize=1)
def _wanted_tags() -> frozenset[int]:
    return frozenset((_CHARACTER_SET, *_UIDS, *_GROUPING, *_LAYOUT, *_trait_tags().values()))


@lru_cache(maxsize=1)
def _trait_tags() -> Mapping[str, int]:
    found = {keyword: attribute_of_keyword(keyword) for keyword in TRAITS}
    return {keyword: row.tag for keyword, row in found.items() if row is not None}


def _instance(values: Mapping[int, bytes]) -> Instance:
    encodings = _encodings(values.get(_CHARACTER_SET, b""))
    traits = {
        keyword: _text(values[tag], encodings) or None
        for keyword, tag in _trait_tags().items()
        if tag in values
    }
    uids = {name: _uid(values.get(tag)) for tag, name in _UIDS.items()}
    return Instance(
        uids["StudyInstanceUID"],
        uids["SeriesInstanceUID"],
        uids["SOPInstanceUID"],
        uids["SOPClassUID"],
        traits,
        grouping_of(
            {name: _text(values[tag], encodings) for tag, name in _GROUPING.items() if tag in values}
        ),
    )


def _head(form: FileForm, found: Instance) -> bytes:
    """What a data set lacks to be a file, which is all that HealthImaging takes."""
    if form.has_prefix:
        return b""
    return PREFIX if form.has_meta else file_head(found.class_uid, found.instance_uid, form.transfer_syntax)


def _check_uids(found: Instance) -> None:
    named = {
        "SOPClassUID": found.class_uid,
        "SOPInstanceUID": found.instance_uid,
        "StudyInstanceUID": found.study_uid,
        "SeriesInstanceUID": found.series_uid,
    }
    for name, uid in named.items():
        if not uid:
            raise UnreadableDicom(f"{name} is missing or empty")
        if not is_valid_uid(uid):
            raise UnreadableDicom(f"{name} is not a valid UID")


def _uid(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").strip(" \0")


def _encodings(value: bytes) -> Sequence[str]:
    names = [name.strip() for name in value.decode("latin-1").strip(" \0").split("\\")]
    try:
        return convert_encodings(names) if any(names) else [default_encoding]
    except (LookupError, ValueError):
        return [default_encoding]


def _text(value: bytes, encodings: Sequence[str]) -> str:
    try:
        text = decode_bytes(value, list(encodings), _DELIMITERS)
    except (LookupError, ValueError):
        text = value.decode("utf-8", "replace")
    return text.strip(" \0")


def _wrong_pixels(walk: ElementWalk, pixels: Element | None, syntax: str, layout: Mapping[str, bytes]) -> str:
    """What is wrong with the pixel data, "" for nothing; nothing is decoded."""
    if pixels is None:
        return "it is an image with no pixel data" if layout.keys() & _IMAGE else ""
    if pixels.start == pixels.end:
        return ""
    known = transfer_syntax(syntax)
    frames = max(1, _count(layout.get("frames", b"")))
    if known is not None and known.encapsulated:
        if not pixels.is_undefined:
            return "its pixel data is not encapsulated as its transfer syntax wants"
        fragments = walk.fragments(pixels)[1:]
        if not any(fragments):
            return "its pixel data holds no frame"
        if known.family != "video" and len(fragments) < frames:
            return f"its pixel data holds fewer frames than the {frames} that it tells of"
        return ""
    if pixels.is_undefined:
        return "its pixel data is encapsulated, its transfer syntax is not"
    rows, columns = walk.number(layout.get("rows")), walk.number(layout.get("columns"))
    if not rows or not columns:
        return "it has pixel data without Rows or Columns"
    bits = _PIXELS[pixels.tag] or walk.number(layout.get("bits")) or 16
    needed = rows * columns * max(1, walk.number(layout.get("samples"))) * bits * frames
    if layout.get("photometric", b"").decode("latin-1").strip(" \0") in _SUBSAMPLED:
        needed = needed * 2 // 3
    if (pixels.end - pixels.start) * 8 < needed:
        return f"its pixel data is shorter than the {(needed + 7) // 8} bytes that it must have"
    return ""


def _count(value: bytes) -> int:
    """An IS, 0 where it is no number."""
    text = value.decode("latin-1").strip(" \0+").partition("\\")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
