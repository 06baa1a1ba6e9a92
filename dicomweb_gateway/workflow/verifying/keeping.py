"""What `verify --out` leaves: one file a frame or an instance, whole or not there, under harmless names."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.workflow.verifying.work import Form, Piece

_ENDINGS = {"htj2k": "jph", "j2k": "j2k", "jpeg": "jpg", "jpegls": "jls", "jpegxl": "jxl", "rle": "rle"}


@dataclass(frozen=True, slots=True)
class Failure:
    """A frame, or with number 0 a whole instance or image set, that is not what its metadata say."""

    image_set_id: str
    instance_uid: str
    frame_number: int
    reason: str


def frame_path(folder: Path, piece: Piece, number: int, decoded: bool) -> Path:
    """Where frame `number` (from 1 on) of an instance goes: a folder for each instance."""
    syntax = transfer_syntax(piece.transfer_syntax_uid)
    ending = "raw"
    if syntax is not None and not decoded:
        video = syntax.media_type.partition("/")[2].lower() if syntax.family == "video" else "raw"
        ending = _ENDINGS.get(syntax.family, video)
    return _instance(folder, piece) / f"{number:06d}.{ending}"


def instance_path(folder: Path, piece: Piece) -> Path:
    """Where an instance goes as a Part 10 file."""
    path = _instance(folder, piece)
    return path.with_name(f"{path.name}.dcm")


def is_kept(folder: Path, piece: Piece, form: Form | None) -> bool:
    """Whether all files of a piece lie where they were put."""
    if form == "dicom":
        return instance_path(folder, piece).is_file()
    numbers = range(piece.first, piece.first + len(piece.frames))
    return all(frame_path(folder, piece, number, form == "raw").is_file() for number in numbers)


def write_whole(path: Path, *chunks: bytes) -> None:
    """A file that is there complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.writelines(chunks)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _instance(folder: Path, piece: Piece) -> Path:
    """One series may stand in several image sets, each with the instance (2.5)."""
    names = (piece.study_uid, piece.series_uid, piece.ref.image_set_id, piece.instance_uid)
    return folder.joinpath(*map(_harmless, names))


def _harmless(name: str) -> str:
    """A UID or id as it is; anything else, which could be a path, as its digest."""
    if is_valid_uid(name) or (name.isascii() and name.isalnum()):
        return name
    return sha256(name.encode("utf-8", "replace")).hexdigest()[:32]
