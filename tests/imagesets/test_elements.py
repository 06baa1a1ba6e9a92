"""HealthImaging's maps as DICOM elements (healthimaging.md 2.3; dicomweb.md J-2, J-5, J-20 to J-29)."""

from base64 import b64encode

import pytest

from dicomweb_gateway.imagesets.elements import base64_length, dicom_json, find_element, read_elements

BASE = "https://host/bulkdata/"


def shown(key, value, vrs=None, **more):
    return dicom_json({key: value}, vrs or {}, BASE.__add__, **more)


VALUES = [
    ("padding", "PatientID", "P1 ", "00100020", {"vr": "LO", "Value": ["P1"]}),
    ("scalar for an array", "ImageType", "ORIGINAL", "00080008", {"vr": "CS", "Value": ["ORIGINAL"]}),
    ("array for a scalar", "PatientID", ["P1"], "00100020", {"vr": "LO", "Value": ["P1"]}),
    ("null is empty, not missing", "PatientOrientation", None, "00200020", {"vr": "CS"}),
    ("empty text", "StudyID", "", "00200010", {"vr": "SH"}),
    (
        "empty component",
        "ImageType",
        ["ORIGINAL", "PRIMARY", "", "0011"],
        "00080008",
        {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", None, "0011"]},
    ),
    ("joined values", "WindowCenter", "40\\-600 ", "00281050", {"vr": "DS", "Value": [40, -600]}),
    ("backslash in free text", "PatientComments", "a\\b", "00104000", {"vr": "LT", "Value": ["a\\b"]}),
    ("DS as text", "RescaleSlope", "1.5 ", "00281053", {"vr": "DS", "Value": [1.5]}),
    ("IS as text", "SeriesNumber", "2 ", "00200011", {"vr": "IS", "Value": [2]}),
    ("US as number", "Rows", 512, "00280010", {"vr": "US", "Value": [512]}),
    ("US as text", "Rows", "512", "00280010", {"vr": "US", "Value": [512]}),
    ("FD", "PhysicalDeltaX", -0.229, "0018602C", {"vr": "FD", "Value": [-0.229]}),
    ("AT", "FrameIncrementPointer", ["00181065"], "00280009", {"vr": "AT", "Value": ["00181065"]}),
    (
        "PN",
        "PatientName",
        "Doe^J==Doe",
        "00100010",
        {"vr": "PN", "Value": [{"Alphabetic": "Doe^J", "Phonetic": "Doe"}]},
    ),
    ("key in lower case", "0010002a", "x", None, None),
    ("tag of a known attribute", "00100020", "P1", "00100020", {"vr": "LO", "Value": ["P1"]}),
    ("empty sequence", "RequestAttributesSequence", [], "00400275", {"vr": "SQ"}),
    ("null sequence", "RequestAttributesSequence", None, "00400275", {"vr": "SQ"}),
    ("single item for an array", "RequestAttributesSequence", {"StudyID": "1"}, "00400275", None),
    (
        "character set",
        "SpecificCharacterSet",
        ["ISO_IR 100"],
        "00080005",
        {"vr": "CS", "Value": ["ISO_IR 192"]},
    ),
    ("private creator", "00090010", "MAKER", "00090010", {"vr": "LO", "Value": ["MAKER"]}),
    ("repeating group", "60000010", 64, "60000010", {"vr": "US", "Value": [64]}),
]


@pytest.mark.parametrize(
    ("key", "value", "tag", "expected"),
    [row[1:] for row in VALUES if row[4]],
    ids=[row[0] for row in VALUES if row[4]],
)
def test_values_by_the_reading_rules(key, value, tag, expected):
    assert shown(key, value) == {tag: expected}


@pytest.mark.parametrize(
    "key",
    [
        "TransferSyntaxUID",
        "FileMetaInformationVersion",
        "00020010",
        "CommandField",
        "FFFEE000",
        "00080000",
        "PixelData",
        "NoSuchKeyword",
        "12345",
    ],
)
def test_group_2_group_lengths_pixels_and_unknown_names_are_left_out(key):
    assert shown(key, "AAE=") == {}


def test_keys_ascend_at_every_level():
    found = dicom_json(
        {
            "Rows": 1,
            "PatientID": "1",
            "RequestAttributesSequence": [{"StudyInstanceUID": "1.2", "AccessionNumber": "3"}],
        },
        {},
    )
    assert list(found) == ["00100020", "00280010", "00400275"]
    assert list(found["00400275"]["Value"][0]) == ["00080050", "0020000D"]


ITEM = {"vr": "SQ", "Value": [{"00091002": {"vr": "UN", "InlineBinary": "eA=="}}]}


@pytest.mark.parametrize(
    ("value", "vr", "expected"),
    [
        ("MAKER", "LO", {"vr": "LO", "Value": ["MAKER"]}),
        ("12.5", "DS", {"vr": "DS", "Value": [12.5]}),
        ("AAECAwQ=", "UN", {"vr": "UN", "InlineBinary": "AAECAwQ="}),
        (["AAECAwQ="], "OB", {"vr": "OB", "InlineBinary": "AAECAwQ="}),
        (" AP_-", "OB", {"vr": "OB", "InlineBinary": "AP/+"}),
        ("", "UN", {"vr": "UN"}),
        (None, "UN", {"vr": "UN"}),
        ([{"00091002": "eA=="}], None, ITEM),
        ({"00091002": "eA=="}, "UN", ITEM),
        ({"00091002": "x"}, "UN", ITEM),
        ("12.5", None, {"vr": "UN", "InlineBinary": "MTIuNQ=="}),
        (["a", None, "b"], None, {"vr": "UN", "InlineBinary": "YVxcYg=="}),
        (5, None, {"vr": "UN", "InlineBinary": "NQ=="}),
        (None, None, {"vr": "UN"}),
        ("eA==", "ZZ", {"vr": "UN", "InlineBinary": "eA=="}),
        ("eA==", ["UN"], {"vr": "UN", "InlineBinary": "eA=="}),
    ],
)
def test_private_elements_take_the_recorded_vr(value, vr, expected):
    assert shown("00091001", value, {"00091001": vr} if vr else {}) == {"00091001": expected}


@pytest.mark.parametrize(
    ("key", "value", "signed", "vr"),
    [
        ("PixelPaddingValue", 5, True, "SS"),
        ("PixelPaddingValue", -2000, False, "SS"),
        ("PixelPaddingValue", 5, False, "US"),
        ("PixelPaddingValue", 63536, True, "US"),
        ("LUTDescriptor", [256, -1024, 16], False, "SS"),
        ("LUTData", [1, 2, 3], False, "US"),
        ("LUTData", "AQACAA==", False, "OW"),
        ("OverlayData", "AQA=", False, "OW"),
        ("WaveformData", "AQA=", False, "OW"),
    ],
)
def test_choices_become_one_vr(key, value, signed, vr):
    key = {"OverlayData": "60003000"}.get(key, key)
    assert [e.vr for e in read_elements({key: value}, {}, signed)] == [vr]


def test_waveform_data_of_8_bits_are_bytes():
    tags = {"WaveformBitsAllocated": 8, "WaveformData": "AQI="}
    assert [e.vr for e in read_elements(tags, {}, nested=True)] == ["US", "OB"]


@pytest.mark.parametrize(
    ("size", "inline"), [(0, None), (1, True), (4095, True), (4096, True), (4097, False), (10_000, False)]
)
def test_binary_is_inline_up_to_the_limit_else_by_uri(size, inline):
    text = b64encode(bytes(size)).decode()
    assert base64_length(text) == size
    found = shown("00091001", text)["00091001"]
    expected = {
        None: {"vr": "UN"},
        True: {"vr": "UN", "InlineBinary": text},
        False: {"vr": "UN", "BulkDataURI": f"{BASE}00091001"},
    }
    assert found == expected[inline]


def test_without_a_uri_maker_binary_values_are_left_out():
    assert dicom_json({"00091001": "AAE=", "00091002": ""}, {}) == {"00091002": {"vr": "UN"}}


def test_bulk_data_uris_lead_through_items_and_back():
    value = b64encode(bytes(5000)).decode()
    tags = {"RequestAttributesSequence": [{}, {"00091001": value, "PixelData": value}]}
    item = dicom_json(tags, {}, BASE.__add__)["00400275"]["Value"][1]
    assert item["00091001"]["BulkDataURI"] == f"{BASE}00400275/2/00091001"
    assert item["7FE00010"]["BulkDataURI"] == f"{BASE}00400275/2/7FE00010"
    found = find_element(tags, {}, [(0x00400275, 2)], 0x00091001)
    assert found is not None
    assert found.values == value


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ([(0x00400275, 1)], 0x00091001),
        ([(0x00400275, 3)], 0x00091001),
        ([(0x00400275, 0)], 0x00091001),
        ([(0x00100020, 1)], 0x00091001),
        ([(0x00081140, 1)], 0x00091001),
        ([], 0x00091001),
    ],
)
def test_paths_that_lead_nowhere(path, tag):
    tags = {"PatientID": "1", "RequestAttributesSequence": [{}, {"00091001": "AAE="}]}
    assert find_element(tags, {}, path, tag) is None


@pytest.mark.parametrize("value", [{}, [{}], {"Rows": 3}, [{"Rows": 3}, "MONOCHROME2"]])
@pytest.mark.parametrize(
    "key", ["PhotometricInterpretation", "Rows", "PixelSpacing", "PatientName", "00080060"]
)
def test_items_are_no_value_of_what_is_no_sequence(key, value):
    """PS3.5 7.5: the dictionary knows these as something else."""
    (found,) = read_elements({key: value}, {})
    assert found.values == []
    assert found.vr != "SQ"


def test_items_of_what_nobody_knows_are_a_sequence():
    (found,) = read_elements({"00091001": [{"Rows": 3}]}, {})
    assert (found.vr, found.values) == ("SQ", [{"Rows": 3}])
