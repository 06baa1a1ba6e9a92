"""Data sets to levels, keys and DICOMVRs (healthimaging.md 2.1 to 2.3)."""

import base64
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomweb_gateway.emulator.ingest.document import attributes_of
from tests.emulator.files import ct_slice

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def read_back(dataset: Dataset, syntax: str = ExplicitVRLittleEndian):
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    buffer.seek(0)
    parsed = pydicom.dcmread(buffer)
    return attributes_of(parsed, parsed.file_meta, little_endian=syntax != ExplicitVRBigEndian)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["implicit", "explicit", "big"])
def test_attributes_land_at_their_levels(syntax):
    attributes = read_back(ct_slice(PatientWeight="71.5", WindowCenter="40", PixelPaddingValue=-2000), syntax)
    assert attributes.patient["PatientID"] == "P-1"
    assert attributes.study["PatientWeight"] == "71.5"
    assert attributes.series["PixelPaddingValue"] == -2000
    assert attributes.instance["WindowCenter"] == ["40"]
    assert attributes.instance["Rows"] == 64
    assert attributes.instance["TransferSyntaxUID"] == syntax
    assert attributes.instance["FileMetaInformationVersion"] == "AAE="
    assert attributes.vrs == {"PixelPaddingValue": "SS"}
    assert "PixelData" not in attributes.instance


def test_private_elements_are_keyed_by_tag_and_have_vrs():
    dataset = ct_slice()
    block = dataset.private_block(0x0009, "EXAMPLE VENDOR", create=True)
    block.add_new(0x01, "OB", b"\1\2\3\4")
    block.add_new(0x02, "DS", ["1", "2.5"])
    block.add_new(0x03, "SQ", Sequence([Dataset()]))
    attributes = read_back(dataset)
    assert attributes.instance["00090010"] == "EXAMPLE VENDOR"
    assert attributes.instance["00091001"] == "AQIDBA=="
    assert attributes.instance["00091002"] == ["1", "2.5"]
    assert attributes.instance["00091003"] == [{}]
    assert attributes.vrs == {"00090010": "LO", "00091001": "OB", "00091002": "DS", "00091003": "SQ"}


def test_overlays_are_keyed_by_tag():
    dataset = ct_slice()
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60003000, "OW", b"\1\2\3\4")
    attributes = read_back(dataset)
    assert (attributes.instance["60000010"], attributes.instance["60003000"]) == (8, "AQIDBA==")
    assert attributes.vrs == {"60000010": "US", "60003000": "OW"}


def test_items_use_their_own_character_set():
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 100"
    item.CodeMeaning = "Größe"
    inherits = Dataset()
    inherits.CodeMeaning = "大きさ"
    dataset = ct_slice(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    dataset.ConceptNameCodeSequence = [item, inherits]
    attributes = read_back(dataset)
    items = attributes.instance["ConceptNameCodeSequence"]
    assert [i["CodeMeaning"] for i in items] == ["Größe", "大きさ"]
    assert attributes.patient["PatientName"] == "山田^太郎"
    assert attributes.instance["SpecificCharacterSet"] == ["ISO_IR 192"]


def test_empty_attributes_are_null_and_empty_binary_is_empty_text():
    dataset = ct_slice(PatientOrientation="", ReferencedImageSequence=[], IconImageSequence=[Dataset()])
    dataset.add_new(0x00420011, "OB", b"")
    attributes = read_back(dataset)
    assert attributes.instance["PatientOrientation"] is None
    assert attributes.instance["ReferencedImageSequence"] is None
    assert attributes.instance["IconImageSequence"] == [{}]
    assert attributes.instance["EncapsulatedDocument"] == ""


def test_one_private_tag_with_two_kinds_of_value_is_kept_as_bytes():
    first, second = Dataset(), Dataset()
    first.add_new(0x00090010, "LO", "A")
    first.add_new(0x00091001, "LO", "text")
    second.add_new(0x00090010, "LO", "B")
    second.add_new(0x00091001, "US", 258)
    attributes = read_back(ct_slice(RequestAttributesSequence=[first, second]))
    values = [item["00091001"] for item in attributes.series["RequestAttributesSequence"]]
    assert [base64.b64decode(value) for value in values] == [b"text", b"\2\1"]
    assert attributes.vrs["00091001"] == "UN"
