"""Data sets as bytes, beside what pydicom writes of them whole."""

import struct
import warnings
from copy import deepcopy
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_dataset
from pydicom.valuerep import PersonName

from dicomweb_gateway.dicom.element_bytes import data_set_bytes
from dicomweb_gateway.imagesets.dataset import instance_dataset
from dicomweb_gateway.imagesets.metadata import parse_document


def _with_explicit_lengths(dataset: Dataset, element) -> None:
    element.is_undefined_length = False
    dataset.is_undefined_length_sequence_item = False


def by_pydicom(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    write_dataset(buffer, dataset, ["utf8"])
    return buffer.getvalue()


def test_every_file_of_pydicoms_is_written_as_pydicom_writes_it():
    written = 0
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = pydicom.dcmread(path)
                dataset.decode()
                dataset = correct_ambiguous_vr(dataset, True)
                if "PixelData" in dataset:
                    del dataset.PixelData
                dataset.walk(_with_explicit_lengths)
                expected = by_pydicom(dataset)
            except Exception:
                continue
            for _ in range(2):
                assert data_set_bytes(dataset) == expected, path
        written += 1
    assert written > 50


def test_real_documents_are_written_as_pydicom_writes_them(ahi_documents):
    written = 0
    for path in sorted(ahi_documents.rglob("*.json")):
        try:
            document = parse_document(path.read_bytes())
        except Exception:
            continue
        for series in document.series():
            for instance in series.instances():
                dataset = instance_dataset(instance)
                assert data_set_bytes(dataset) == by_pydicom(dataset), path
                written += 1
    assert written > 10


def made(vr: str, value: object, tag: int = 0x00091001) -> Dataset:
    dataset = Dataset()
    dataset.add_new(tag, vr, value)
    dataset[tag].VR = vr
    return dataset


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("FD", [0.0, -0.0, 1, 1.0, [0.0, -0.0], [-0.0, 0.0]]),
        ("FL", [0.0, -0.0, 1, 1.0]),
        ("US", [0, 1, [0, 1], [1, 0], None]),
        ("LO", ["", "a", "ab", "Müller", ["a", "b"], ["a", ""], "a\\b", None]),
        ("PN", ["Müller^Jörg=山田", "a^b==", ["a^b", "c"], "", None]),
        ("UI", ["1.2", "1.2.3", ["1.2", "1.3"]]),
        ("OB", [b"", b"\0\1", b"\0" * 1000]),
        ("UN", [b"\0\1", b"1"]),
        ("DS", ["1.50", "1.5", ["1.0", "1"]]),
        ("UT", ["x" * 255, "x" * 256, "x" * 257, "x" * 100_000]),
        ("SQ", [[], [Dataset()], [made("LO", "a"), made("FD", -0.0)]]),
    ],
)
def test_values_that_are_equal_are_not_confused(vr, values):
    """Each twice, so that what is remembered of one would show in another."""
    for value in values * 2:
        dataset = made(vr, deepcopy(value))
        assert data_set_bytes(dataset) == by_pydicom(dataset), value


def test_the_same_text_is_written_in_the_character_set_of_its_data_set():
    texts = {}
    for name in ("ISO_IR 100", "ISO_IR 192", "ISO_IR 100"):
        dataset = Dataset()
        dataset.SpecificCharacterSet = name
        dataset.PatientName = PersonName("Müller")
        item = Dataset()
        item.PatientComments = "Jörg"
        dataset.ReferencedPatientSequence = [item]
        texts[name] = data_set_bytes(dataset)
        assert texts[name] == by_pydicom(dataset)
    assert texts["ISO_IR 100"] != texts["ISO_IR 192"]


def test_group_lengths_are_left_out_and_tags_ascend():
    dataset = Dataset()
    dataset.add_new(0x00100010, "PN", "b")
    dataset.add_new(0x00080000, "UL", 7)
    dataset.add_new(0x00080005, "CS", "ISO_IR 192")
    written = data_set_bytes(dataset)
    assert written == by_pydicom(dataset)
    assert struct.unpack_from("<HH", written) == (0x0008, 0x0005)


def test_what_was_written_follows_a_change_of_the_data_set():
    dataset = made("CS", "RGB", 0x00280004)
    before = data_set_bytes(dataset)
    dataset.PhotometricInterpretation = "YBR_RCT"
    assert data_set_bytes(dataset) == by_pydicom(dataset) != before
