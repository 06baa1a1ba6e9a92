from xml.etree import ElementTree

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicomweb_gateway.dicom.xml_model import NAMESPACE, native_model

N = f"{{{NAMESPACE}}}"


def tree(dataset):
    root = ElementTree.fromstring(native_model(dataset))
    assert root.tag == f"{N}NativeDicomModel"
    return root


def read(element):
    """A DicomAttribute as nested plain values, the tag names without their namespace."""
    inner = [read(child) for child in element] or element.text
    return element.tag.removeprefix(N), dict(element.attrib), inner


@pytest.mark.parametrize(
    ("key", "element", "attributes", "inner"),
    [
        ("00100020", {"vr": "LO", "Value": ["a<b>&\"'c"]}, {"keyword": "PatientID"}, "a<b>&\"'c"),
        ("00080050", {"vr": "SH"}, {"keyword": "AccessionNumber"}, None),
        ("00200013", {"vr": "IS", "Value": [7]}, {"keyword": "InstanceNumber"}, "7"),
        (
            "00081030",
            {"vr": "LO", "Value": ["山 \x00\x0b\ufffe😀\r\n"]},
            {"keyword": "StudyDescription"},
            "山 😀\r\n",
        ),
        ("60000010", {"vr": "US", "Value": [5]}, {"keyword": "OverlayRows"}, "5"),
        ("7FE10010", {"vr": "LO", "Value": ["GE"]}, {}, "GE"),
    ],
)
def test_single_values(key, element, attributes, inner):
    (one,) = tree({key: element})
    assert one.attrib == {"tag": key, "vr": element["vr"], **attributes}
    assert [value.text for value in one] == ([inner] if "Value" in element else [])


def test_values_keep_their_positions():
    (one,) = tree({"00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}})
    assert [(value.get("number"), value.text) for value in one] == [
        ("1", "ORIGINAL"),
        ("2", None),
        ("3", "AXIAL"),
    ]


def test_names_are_taken_apart():
    name = {"Alphabetic": "Yamada^Tarou^^Dr", "Ideographic": "山田^太郎"}
    (one,) = tree({"00100010": {"vr": "PN", "Value": [name]}})
    alphabetic = [("FamilyName", {}, "Yamada"), ("GivenName", {}, "Tarou"), ("NamePrefix", {}, "Dr")]
    ideographic = [("FamilyName", {}, "山田"), ("GivenName", {}, "太郎")]
    groups = [("Alphabetic", {}, alphabetic), ("Ideographic", {}, ideographic)]
    assert read(one)[2] == [("PersonName", {"number": "1"}, groups)]


def test_sequences_nest_and_binary_is_told_apart():
    item = {"00400009": {"vr": "SH", "Value": ["S1"]}}
    sequence, binary, bulk = tree(
        {
            "00400275": {"vr": "SQ", "Value": [item, {}]},
            "00420011": {"vr": "OB", "InlineBinary": "AAE="},
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://h/a?b=1&c=2"},
        }
    )
    first, second = sequence
    assert (first.get("number"), second.get("number"), len(second)) == ("1", "2", 0)
    assert first[0].get("keyword") == "ScheduledProcedureStepID"
    assert first[0][0].text == "S1"
    assert binary[0].text == "AAE="
    assert bulk[0].get("uri") == "http://h/a?b=1&c=2"


def test_private_elements_name_their_creator():
    creator, element, orphan = tree(
        {
            "00090010": {"vr": "LO", "Value": ['ACME "1"']},
            "000910AA": {"vr": "LO", "Value": ["x"]},
            "000B10AA": {"vr": "LO", "Value": ["y"]},
        }
    )
    assert element.get("privateCreator") == 'ACME "1"'
    assert "privateCreator" not in creator.attrib
    assert "privateCreator" not in orphan.attrib


def test_a_real_dataset_says_the_same_in_both_models():
    dataset = dcmread(get_testdata_file("CT_small.dcm", download=False))
    model = dataset.to_json_dict(bulk_data_threshold=10**9)
    root = tree(model)
    assert [one.get("tag") for one in root] == list(model)
    for one, element in zip(root, model.values(), strict=True):
        assert one.get("vr") == element["vr"]
        if element["vr"] not in ("PN", "SQ") and "Value" in element:
            assert [value.text or "" for value in one] == [str(value) for value in element["Value"]]
