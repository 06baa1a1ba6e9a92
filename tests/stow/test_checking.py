"""What is found wrong with a part before anything is stored."""

import zlib
from contextlib import nullcontext, suppress
from io import BytesIO
from pathlib import Path
from random import Random
from struct import pack

import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicomweb_gateway.dicom import element_walk
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.store_response import MISMATCH, NOT_UNDERSTOOD, UNKNOWN_SYNTAX
from dicomweb_gateway.errors import StorageUnavailable
from dicomweb_gateway.stow.checking import RefusedPart, check_part
from tests.emulator.files import CT, ROOT, ct_slice
from tests.stow.parts import part10

STUDY = f"{ROOT}.1"


def check(data: bytes, study: str | None = None):
    return check_part(BytesIO(data), len(data), study, SpoolSpace())


def refusal(data: bytes, study: str | None = None) -> RefusedPart:
    with pytest.raises(RefusedPart) as caught:
        check(data, study)
    return caught.value


def nested() -> Dataset:
    """A slice with sequences in sequences, of undefined and of stated length."""
    dataset = ct_slice()
    dataset.ReferencedImageSequence = [Dataset(), Dataset()]
    dataset.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence = [Dataset()]
    dataset.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue = "1"
    dataset["ReferencedImageSequence"].is_undefined_length = True
    dataset.ReferencedImageSequence[0].is_undefined_length_sequence_item = True
    return dataset


def encapsulated(frames: int = 1, **attributes) -> Dataset:
    dataset = ct_slice(**attributes)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"\xff\xd8" + bytes(100)] * frames)
    dataset["PixelData"].is_undefined_length = True
    return dataset


def written(dataset: Dataset, syntax: str) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].VR = "OW"
    file = BytesIO()
    dataset.save_as(
        file,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        part10(ct_slice()),
        part10(nested()),
        part10(encapsulated()),
        part10(encapsulated(3, NumberOfFrames=3)),
        written(ct_slice(), ImplicitVRLittleEndian),
        written(ct_slice(), ExplicitVRBigEndian),
        written(nested(), DeflatedExplicitVRLittleEndian),
        part10(ct_slice(Rows=None, Columns=None, SamplesPerPixel=None, BitsAllocated=None, PixelData=None)),
        part10(ct_slice()) + bytes(7),
    ],
    ids=["plain", "nested", "jpeg", "frames", "implicit", "big endian", "deflated", "no pixels", "padded"],
)
def test_good_parts_say_what_they_are(data):
    found = check(data, STUDY)
    assert (found.study_uid, found.series_uid, found.class_uid) == (STUDY, f"{STUDY}.1", CT)
    assert found.instance_uid == f"{STUDY}.1.1"
    assert found.patient == ("P-1", "")
    assert found.traits["Modality"] == "CT"


def test_a_bare_data_set_is_taken():
    whole = part10(ct_slice())
    length = int.from_bytes(whole[140:144], "little")
    assert check(whole[144 + length :]).instance_uid == f"{STUDY}.1.1"
    assert check(whole[132:]).instance_uid == f"{STUDY}.1.1"


def test_texts_are_read_in_their_character_set():
    dataset = ct_slice(InstitutionName="Übung")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    assert check(part10(dataset)).traits["InstitutionName"] == "Übung"


@pytest.mark.parametrize("make", [ct_slice, nested, encapsulated])
def test_what_is_cut_anywhere_is_refused(make):
    data = part10(make())
    image = data.index(b"\x28\0\x02\0") + 1
    for length in (
        *range(0, 132),
        *range(image, min(image + 300, len(data))),
        *range(len(data) - 100, len(data)),
    ):
        assert refusal(data[:length]).code in (NOT_UNDERSTOOD, MISMATCH), length


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize("value", ["", "1.2.x", "1" * 66, "<script>alert(1)</script>"])
@pytest.mark.filterwarnings("ignore")
def test_uids_must_be_there_and_be_uids(keyword, value):
    dataset = ct_slice(**{keyword: value})
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    found = refusal(part10(dataset))
    assert found.code == NOT_UNDERSTOOD
    assert keyword in found.reason
    assert "script" not in found.reason


def test_the_study_must_be_that_of_the_address():
    found = refusal(part10(ct_slice()), "1.2.3")
    assert (found.code, found.instance_uid) == (MISMATCH, f"{STUDY}.1.1")


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (ct_slice(Rows=65), "shorter"),
        (ct_slice(NumberOfFrames=2), "shorter"),
        (ct_slice(Rows=None), "without Rows"),
        (ct_slice(PixelData=None), "no pixel data"),
        (encapsulated(2, NumberOfFrames=3), "fewer frames"),
    ],
)
def test_pixel_data_must_be_what_is_told(dataset, reason):
    found = refusal(part10(dataset))
    assert found.code == MISMATCH
    assert reason in found.reason


def test_transfer_syntaxes_that_nobody_knows():
    data = part10(ct_slice()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.2.1\0")
    assert refusal(data).code == UNKNOWN_SYNTAX


@pytest.mark.parametrize("data", [b"", b"x", b"GIF89a" * 100, bytes(1000), b"\xff" * 1000, b"<html>" * 50])
def test_what_is_no_dicom(data):
    assert refusal(data).code == NOT_UNDERSTOOD


def test_a_bomb_is_not_unpacked():
    head = written(ct_slice(), DeflatedExplicitVRLittleEndian)
    length = int.from_bytes(head[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
    found = refusal(head[: 144 + length] + bomb)
    assert "unpacks to more" in found.reason


def test_sequences_may_not_be_nested_for_ever():
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    data = part10(ct_slice())
    assert "nested" in refusal(data[:-8204] + (sequence + item) * 5000).reason


def test_what_consists_of_elements_alone_is_refused(monkeypatch):
    monkeypatch.setattr(element_walk, "_MOST_HEADS", 5000)
    empty = b"\x09\0\x01\0LO\0\0" * 6000
    assert "more than 5000" in refusal(part10(ct_slice())[:-8204] + empty).reason
    pixels = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * 6000
    assert "more than 5000" in refusal(part10(ct_slice())[:-8204] + pixels).reason


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [ct_slice, nested, encapsulated])
def test_damage_of_any_kind_is_refused_or_does_not_matter(make):
    random = Random(8)
    whole = part10(make())
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(random.choice([1, 2, 8])):
            data[random.randrange(len(data))] = random.choice([0, 1, 0x7F, 0xFE, 0xFF, random.randrange(256)])
        with suppress(RefusedPart):
            check(bytes(data))


@pytest.mark.filterwarnings("ignore")
def test_texts_that_no_attribute_has_are_refused():
    found = refusal(part10(ct_slice(InstitutionName="x" * 5000)))
    assert (found.code, "too long" in found.reason) == (NOT_UNDERSTOOD, True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keyword", ["PatientID", "IssuerOfPatientID"])
def test_patients_are_told_apart_to_the_last_character(keyword):
    assert check(part10(ct_slice(**{keyword: "x" * 256})))
    found = refusal(part10(ct_slice(**{keyword: "x" * 257})))
    assert (found.code, found.instance_uid) == (NOT_UNDERSTOOD, f"{STUDY}.1.1")
    assert len(found.reason) <= 64


@pytest.mark.parametrize("where", ["before", "at the end"])
@pytest.mark.parametrize(
    ("tag", "value"), [((0x10, 0x20), b"P-2 "), ((0x10, 0x21), b"N "), ((8, 0x60), b"MR")]
)
def test_what_is_judged_stands_there_once(tag, value, where):
    """Another reader might go by the other one, and file it under another patient."""
    dataset = ct_slice(IssuerOfPatientID="S")
    whole = part10(dataset)
    vr = b"CS" if value == b"MR" else b"LO"
    element = pack("<HH2sH", *tag, vr, len(value)) + value
    start = whole.index(pack("<HH2s", *tag, vr)) if where == "before" else len(whole)
    found = refusal(whole[:start] + element + whole[start:])
    assert (found.code, "stands twice" in found.reason) == (NOT_UNDERSTOOD, True)


@pytest.mark.filterwarnings("ignore")
def test_a_class_that_is_no_uid_is_not_repeated():
    found = refusal(part10(ct_slice(SOPClassUID="1.2\x0140" * 10)))
    assert (found.code, found.class_uid, found.instance_uid) == (NOT_UNDERSTOOD, "", f"{STUDY}.1.1")


@pytest.mark.parametrize("min_free_bytes", [0, 1 << 60])
def test_what_is_unpacked_lies_in_the_spool_and_is_gone_after(tmp_path, monkeypatch, min_free_bytes):
    space, made = SpoolSpace(tmp_path / "spool", min_free_bytes), []
    new_file = SpoolSpace.new_file
    monkeypatch.setattr(SpoolSpace, "new_file", lambda self: made.append(new_file(self)) or made[-1])
    data = written(ct_slice(), DeflatedExplicitVRLittleEndian)
    bad = data[:-20]
    for one, error in ((data, StorageUnavailable if min_free_bytes else None), (bad, Exception)):
        with pytest.raises(error) if error else nullcontext():
            check_part(BytesIO(one), len(one), None, space)
    assert [file.closed for file in made] == [True, True]
    assert (tmp_path / "spool").is_dir()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_disk_that_is_full_is_no_fault_of_the_part(monkeypatch):
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(SpoolSpace, "new_file", lambda _: full)
        with pytest.raises(StorageUnavailable):
            check(written(ct_slice(), DeflatedExplicitVRLittleEndian))
    monkeypatch.undo()
    nowhere = SpoolSpace(Path("/dev/null/x"))
    data = written(ct_slice(), DeflatedExplicitVRLittleEndian)
    with pytest.raises(StorageUnavailable):
        check_part(BytesIO(data), len(data), None, nowhere)
