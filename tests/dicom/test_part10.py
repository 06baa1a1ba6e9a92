"""Part 10 framing, read back with pydicom (PS3.10 7.1, PS3.5 A.4; dicomweb.md W-4, W-5, W-7)."""

from io import BytesIO
from struct import unpack

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO

from dicomweb_gateway.dicom import part10
from dicomweb_gateway.dicom.pixel_description import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PixelDescription,
)
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, HTJ2K_LOSSLESS_RPCL


def dataset(**more) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    made.SOPInstanceUID = "1.2.3.4"
    made.PatientName = "Müller^Jörg=山田"
    made.Rows, made.Columns, made.SamplesPerPixel = 3, 3, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.add_new(0x00090010, "LO", "MAKER")
    made.add_new(0x00091001, "UN", b"\0\1\2\3")
    made.add_new(0xFFFCFFFC, "OB", b"\0\0")
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def join(framing: part10.Framing, frames: list[bytes]) -> bytes:
    pieces = [framing.head]
    for before, frame, after in zip(framing.before, frames, framing.after, strict=True):
        pieces += [before, frame, after]
    return b"".join([*pieces, framing.tail])


def read(data: bytes) -> Dataset:
    assert data[:128] == bytes(128)
    assert data[128:132] == b"DICM"
    # (0002,0000) UL and the length of the rest of group 0002: some readers take no file without it
    assert data[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    assert data[144 + int.from_bytes(data[140:144], "little") :][:2] != b"\x02\x00"
    return pydicom.dcmread(BytesIO(data))


def test_file_meta_says_what_the_file_is():
    found = read(part10.without_pixels(dataset(), EXPLICIT_VR_LE))
    assert found.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert found.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert found.file_meta.TransferSyntaxUID == EXPLICIT_VR_LE
    assert found.file_meta.ImplementationClassUID == part10.IMPLEMENTATION_CLASS_UID


def test_elements_ascend_and_keep_text_private_elements_and_bytes():
    found = read(part10.without_pixels(dataset(), EXPLICIT_VR_LE))
    tags = [int(tag) for tag in found._dict]
    assert tags == sorted(tags)
    assert str(found.PatientName) == "Müller^Jörg=山田"
    assert found[0x00090010].value == "MAKER"
    assert found[0x00091001].value == b"\0\1\2\3"


@pytest.mark.parametrize(
    ("allocated", "keyword", "vr", "attribute"),
    [
        (8, "PixelData", "OB", "PixelData"),
        (16, "PixelData", "OW", "PixelData"),
        (1, "PixelData", "OW", "PixelData"),
        (32, FLOAT_PIXEL_DATA, "OF", "FloatPixelData"),
        (64, DOUBLE_FLOAT_PIXEL_DATA, "OD", "DoubleFloatPixelData"),
    ],
)
def test_native_element_and_vr(allocated, keyword, vr, attribute):
    pixels = PixelDescription(3, 3, bits_allocated=allocated, keyword=keyword)
    data = bytes(range(pixels.frame_length))
    framing = part10.native(dataset(BitsAllocated=allocated), EXPLICIT_VR_LE, pixels, len(data))
    found = read(join(framing, [data]))
    assert vr == found[attribute].VR
    assert found[attribute].value[: len(data)] == data
    assert found[0xFFFCFFFC].value == b"\0\0"


def test_odd_native_length_is_padded_once_for_all_frames():
    pixels = PixelDescription(3, 3, bits_allocated=8)
    data = bytes(range(27))
    framing = part10.native(dataset(NumberOfFrames=3), EXPLICIT_VR_LE, pixels, len(data))
    found = read(join(framing, [data]))
    assert found.PixelData == data + b"\0"
    assert np.array_equal(found.pixel_array.reshape(-1), np.arange(27))


def test_native_data_beyond_one_element_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        part10.native(dataset(), EXPLICIT_VR_LE, PixelDescription(3, 3), 0xFFFFFFFF)


FRAMES = [b"one", b"second", b"3", b"the fourth"]


def test_encapsulated_frames_have_one_fragment_each_and_a_basic_offset_table():
    source = dataset(NumberOfFrames=4)
    framing = part10.encapsulated(source, HTJ2K_LOSSLESS_RPCL, [len(f) for f in FRAMES])
    found = read(join(framing, FRAMES))
    table = parse_basic_offsets(DicomBytesIO(found.PixelData))
    assert table == [0, 12, 26, 36]
    assert [f.rstrip(b"\0") for f in generate_frames(found.PixelData, number_of_frames=4)] == FRAMES
    assert "ExtendedOffsetTable" not in found
    assert found[0xFFFCFFFC].value == b"\0\0"
    assert 0x7FE00010 not in source


def test_extended_offset_table_when_an_offset_needs_more_than_32_bits(monkeypatch):
    monkeypatch.setattr(part10, "_LAST_OFFSET", 35)
    framing = part10.encapsulated(dataset(NumberOfFrames=4), HTJ2K_LOSSLESS_RPCL, [len(f) for f in FRAMES])
    found = read(join(framing, FRAMES))
    assert parse_basic_offsets(DicomBytesIO(found.PixelData)) == []
    assert unpack("<4Q", found.ExtendedOffsetTable) == (0, 12, 26, 36)
    assert unpack("<4Q", found.ExtendedOffsetTableLengths) == (3, 6, 1, 10)
    tables = (found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths)
    assert list(generate_frames(found.PixelData, number_of_frames=4, extended_offsets=tables)) == FRAMES


def test_the_last_offset_that_fits_keeps_the_basic_table(monkeypatch):
    monkeypatch.setattr(part10, "_LAST_OFFSET", 36)
    framing = part10.encapsulated(dataset(), HTJ2K_LOSSLESS_RPCL, [len(f) for f in FRAMES])
    assert "ExtendedOffsetTable" not in read(join(framing, FRAMES))


def test_no_frames_give_an_empty_table():
    found = read(join(part10.encapsulated(dataset(), HTJ2K_LOSSLESS_RPCL, []), []))
    assert parse_basic_offsets(DicomBytesIO(found.PixelData)) == []


def test_what_the_imported_file_said_of_its_fragments_is_left_out():
    old = dataset(ExtendedOffsetTable=b"\1" * 8, ExtendedOffsetTableLengths=b"\2" * 8)
    old.add_new(0x7FE00003, "UV", 12)
    pixels = PixelDescription(3, 3, bits_allocated=8)
    for found in (
        read(join(part10.encapsulated(old, HTJ2K_LOSSLESS_RPCL, [3]), [b"one"])),
        read(join(part10.native(old, EXPLICIT_VR_LE, pixels, 9), [bytes(9)])),
    ):
        assert not {0x7FE00001, 0x7FE00002, 0x7FE00003} & set(found._dict)
    assert old.ExtendedOffsetTable == b"\1" * 8


def test_a_frame_beyond_one_fragment_is_refused():
    with pytest.raises(ValueError, match="does not fit a DICOM fragment"):
        part10.encapsulated(dataset(), HTJ2K_LOSSLESS_RPCL, [0xFFFFFFFF])
