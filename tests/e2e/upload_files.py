"""Folders of files that the upload page is given: good ones, bad ones, and some that no browser can show."""

from base64 import b64decode
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate

from tests.emulator.files import ROOT, ct_slice
from tests.stow.parts import part10

NAME = "<script>alert(1)</script>"
BAD_NAME = "<img src=x onerror=alert(5)>.txt"
SLICES = 55
"""More than go in one request."""

FILM, UNPLAYABLE, UNDECODABLE = f"{ROOT}.94", f"{ROOT}.93", f"{ROOT}.92"
"""Studies of a video, of one that is none, and of a picture that no decoder takes."""

_MPEG4 = "1.2.840.10008.1.2.4.102"
_JPEG = "1.2.840.10008.1.2.4.50"


def write_folders(chosen: Path, dropped: Path, owned: Path) -> None:
    """`chosen`: a good study, one whose patient is not that of `owned`, which is stored, three bad files.

    `dropped`: studies of slices, and those of FILM, UNPLAYABLE and UNDECODABLE.
    """
    head = chosen / "Größe 頭部"
    (chosen / "deep").mkdir(parents=True)
    head.mkdir()
    dropped.mkdir(parents=True)
    for number in range(1, SLICES + 1):
        slice_ = ct_slice(
            number, study=97, PatientID="UP-1", PatientName=NAME, StudyDescription="<b>Head</b>"
        )
        (head / f"№ {number}.dcm").write_bytes(part10(slice_))
    for number in range(1, 4):
        other = ct_slice(number, study=95 + number % 2, PatientID="UP-2", PatientName="UPLOAD^TWO")
        (dropped / f"{number}").write_bytes(part10(other))
    (chosen / "deep" / BAD_NAME).write_text("no image\n" * 40)
    (chosen / "deep" / "cut.dcm").write_bytes(part10(ct_slice(99, study=97))[:-100])
    (chosen / "deep" / "nameless.dcm").write_bytes(part10(ct_slice(99, study=97, StudyInstanceUID=None)))
    # good in itself, but its study is another patient's there
    stolen = dcmread(owned)
    stolen.PatientID = "SOMEBODY ELSE"
    stolen.SOPInstanceUID = stolen.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.98"
    (head / "stolen.dcm").write_bytes(part10(stolen))
    (dropped / "film").write_bytes(_coded(94, _MPEG4, FILM_BYTES))
    (dropped / "no film").write_bytes(_coded(93, _MPEG4, bytes(range(256)) * 8))
    (dropped / "no picture").write_bytes(_coded(92, _JPEG, b"garbage" * 40))


def _coded(study: int, transfer_syntax: str, stream: bytes) -> bytes:
    """An instance in colour whose only fragment is `stream`."""
    made: Dataset = ct_slice(1, study=study, PixelData=None, PatientID="UP-3", PatientName="UPLOAD^THREE")
    made.Modality, made.SamplesPerPixel, made.PlanarConfiguration = "US", 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422" if transfer_syntax == _JPEG else "YBR_PARTIAL_420"
    made.Rows = made.Columns = 64
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    if transfer_syntax == _MPEG4:
        made.NumberOfFrames = 6
    made.file_meta.TransferSyntaxUID = transfer_syntax
    made.PixelData = encapsulate([stream])
    made["PixelData"].VR = "OB"
    return part10(made)


# 6 frames of 64 x 64 in H.264, as a browser's recorder writes them
FILM_BYTES = b64decode(
    "AAAAJGZ0eXBpc29tAAACAGlzb21pc282aXNvMmF2YzFtcDQxAAACy21vb3YAAAB4bXZoZAEAAAAAAAAA5zCXngAAAADnMJee"
    "AAAD6AAAAAAAAAIXAAEAAAEAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAIAAAIjdHJhawAAAGh0a2hkAQAAAwAAAADnMJeeAAAAAOcwl54AAAABAAAAAAAAAAAAAAIX"
    "AAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAQAAAAABAAAAAQAAAAAABs21kaWEAAAAs"
    "bWRoZAEAAAAAAAAA5zCXngAAAADnMJeeAAB1MAAAAAAAAAIXVcQAAAAAAC1oZGxyAAAAAAAAAAB2aWRlAAAAAAAAAAAAAAAA"
    "VmlkZW9IYW5kbGVyAAAAAVJtaW5mAAAAFHZtaGQAAAABAAAAAAAAAAAAAAAlZGluZgAAAB1kcmVmAAAAAAAAAAEAAAANdXJs"
    "IAAAAAEAAAABEXN0YmwAAAAQc3RzYwAAAAAAAAAAAAAAEHN0dHMAAAAAAAAAAAAAABRzdHN6AAAAAAAAAAAAAAAAAAAAEHN0"
    "Y28AAAAAAAAAAAAAAMVzdHNkAAAAAAAAAAEAAAC1YXZjMQAAAAAAAAABAAAAAQAAAAAAAAAAAAAAAABAAEAASAAAAEgAAAAA"
    "AAAAAQtBVkMxIENvZGluZwAAAAAAAAAAAAAAAAAAAAAAAAAAABj//wAAABBwYXNwAAAAAQAAAAEAAAAUYnRydAAAAAAAAAAA"
    "AAAAAAAAAChhdmNDAULACv/hABFnQsAKjI1CEk3AQ0BB4RCNQAEABGjOPIAAAAATY29scm5jbHgAAQANAAGAAAAAKG12ZXgA"
    "AAAgdHJleAAAAAAAAAABAAAAAQAAAAAAAAAAAAAAAAAAAJBtb29mAAAAEG1maGQAAAAAAAAAAQAAAHh0cmFmAAAAFHRmaGQA"
    "AgAgAAAAAQEBAAAAAAAUdGZkdAEAAAAAAAAAAAAAAAAAAEh0cnVuAQADBQAAAAYAAACYAgAAAAAAC8QAAAAoAAALwAAAACcA"
    "AAvAAAAAMQAAC8IAAAAoAAALxgAAADIAAAPnAAAAJwAAAQltZGF0AAAAJGW4AAQAAAQ///4IooABHxwACMcAAQLJNycnW666"
    "666666668AAAACNh4ABAAL5AQ83//w9FAAPfE+J8T57z+fz+e8/n8/nkz+fz+AAAAC1h4ACAAT5Azzf//BFFAAK+OAATjgAC"
    "B1jcV9ifE+eR5/P5/Pefz+fzyZ/P5/AAAAAkYeAAwAG+QO83//w9FAAEAL4nxPifP5/P5/Pefz+fzyZ/P5/AAAAALmHgAQAC"
    "PkDvN//8EUUAAn44ABGOAAIFmJxXE+J88griPEeI895/P5/PJn8/n8AAAAAjYeABQAK+QEvN//8PRQADXxPifE+fz+fz+e8/"
    "n8/nkz+fz+AAAABMbWZyYQAAADR0ZnJhAQAAAAAAAAEAAAA/AAAAAQAAAAAAAAAAAAAAAAAAAu8AAAABAAAAAQAAAAEAAAAQ"
    "bWZybwAAAAAAAABM"
)
