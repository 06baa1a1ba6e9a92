"""Elements that are given again are those that would have been made anew (J-20 to J-29)."""

from base64 import b64encode

import orjson
import pytest
from hypothesis import given, settings, strategies

from dicomweb_gateway.dicom.json_model import dumps, element
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.shared_json import Own, SharedJson

BULK = b64encode(bytes(5000)).decode()


def anew(levels, vrs, signed, own, bulk_uri):
    merged = {key: value for level in levels for key, value in level.items()}
    made = {**dicom_json(merged, vrs, bulk_uri, signed), **own}
    if "00080005" in made or not dumps(made).isascii():
        made["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dumps(dict(sorted(made.items())))


def assert_same(shared, levels, vrs, signed, number):
    own = {"00083002": {"vr": "UI", "Value": [str(number)]}}
    bulk_uri = f"http://gw/{number}/".__add__
    *above, tags = levels
    texts = {tag: dumps(one) for tag, one in own.items()}
    made = shared.make(tuple(above), tags, vrs, signed, Own(texts, bulk_uri))
    # bytes, because 1 equals 1.0 and True
    assert made == anew(levels, vrs, signed, own, bulk_uri)


def test_real_documents(ahi_documents):
    for path in ahi_documents.glob("*.json"):
        shared = SharedJson()
        for series in parse_document(path.read_bytes()).series():
            for number, instance in enumerate(series.instances()):
                signed = bool(instance.pixels and instance.pixels.pixel_representation)
                assert_same(shared, instance.levels, instance.vrs, signed, number)


ABOVE = (
    {"PatientName": "Müller^Jörg", "00091001": BULK},
    {"StudyDate": "20240101", "AccessionNumber": None},
    {"Modality": "CT", "00091002": "AAEC", "RequestAttributesSequence": [{"00091001": BULK}, {}]},
)
VRS = {"00091001": "UN", "00091002": "OB", "00091003": "DS"}
VALUES = [
    ("InstanceNumber", ["1", "1", "1.5", 1, 1.0, True, None, "", ["1", None], [1, 2], [1.0, 2.0], [1, 2]]),
    ("RescaleIntercept", [0.0, -0.0, 0, "0", [0.0], [-0.0]]),
    ("SmallestImagePixelValue", [-5, 5, 40000, 5]),
    ("WaveformData", ["AAEC", "AAEC", BULK, "AAE="]),
    ("00091001", [BULK, "AAEC", "AAEC", None]),
    ("00091003", ["1.5", 1.5, "x"]),
    (
        "ReferencedImageSequence",
        [[{"00091001": BULK}], [{"00091001": "AAEC"}], {"RowS": 1}, [], [{"Rows": 5}]],
    ),
    ("00200013", ["7", "7", "8"]),
    ("Modality", ["MR", "MR", "CT"]),
    ("AvailableTransferSyntaxUID", ["1.2", "1.2"]),
    ("no keyword", ["1", "2"]),
    ("PixelData", [None, "AAEC"]),
]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("vrs", [VRS, {}])
@pytest.mark.parametrize(("key", "values"), VALUES)
def test_one_value_after_the_other(key, values, vrs, signed):
    shared = SharedJson()
    for round_number in range(2):
        for number, value in enumerate(values):
            # waveforms: what a value is depends on its neighbour
            tags = {"InstanceNumber": "3", key: value, "WaveformBitsAllocated": 8 if number % 2 else 16}
            assert_same(shared, (*ABOVE, tags), vrs, signed, round_number * 100 + number)


def test_instances_of_different_shapes_series_and_signs_in_turn():
    shared = SharedJson()
    other = (*ABOVE[:2], {"Modality": "MR"})
    for number in range(300):
        tags = {key: values[number % len(values)] for key, values in VALUES[number % 7 :]}
        above = ABOVE if number % 2 else other
        assert_same(shared, (*above, tags), VRS if number % 3 else {}, number % 5 == 0, number)
        assert_same(shared, (*ABOVE[:2], {"Modality": str(number)}, tags), VRS, False, number)


PLAIN = [
    *("CT", " padded ", "", None, "Müller^Jörg=Yamada^Tarou", "1.5", "-0.0", "+7", "1e3", "nan", "Infinity"),
    *("A\\B", "9" * 20, "9" * 5000, '"quoted\\"', "NaN", "12345", "line\nline", "FFFF0010", "QUJD"),
    *(0, 5, -5, 70000, 2**53 + 1, 1.5, -0.0, True, [], [""], ["A", "B"], ["1", "", "2.50"], ["A", None]),
    *([1, 2], [1.0, 2], [{"Rows": 1}], {"Rows": 1}, {}, [[]], ["A\\B"], ["é"], [True], ["NaN", "1"], [None]),
    [{"Modality": "CT", "PatientName": "A^B"}, {"00200013": "5", "Modality": " x "}],
    [{"Modality": "MR", "PatientName": "Ä^B"}, {"00200013": "6", "Modality": None}],
    [{"ReferencedImageSequence": [{"Modality": "A\\B"}, {}], "00091001": "QUJD"}, {"KVP": 1.5, "Rows": -0.0}],
    [{"InstanceNumber": "1", "00200013": "2"}, {"00020010": "1.2", "GroupLength": 5, "PixelData": "AAEC"}],
    [{"SpecificCharacterSet": "ISO_IR 100", "KVP": ["1"]}, {"KVP": ["1", "nan"], "no": 1}],
]
KEYS = ["Modality", "PatientName", "SliceLocation", "InstanceNumber", "WindowCenter", "ImageComments", "Rows"]
KEYS += ["RescaleSlope", "DistanceSourceToDetector", "FrameIncrementPointer", "SmallestImagePixelValue"]
KEYS += ["00200013", "00091001", "00090010", "SpecificCharacterSet", "0009100A", "PixelData", "WaveformData"]
KEYS += ["ReferencedImageSequence", "RetrieveURL", "00280107", "SelectorUVValue", "GridFrameOffsetVector"]
KINDS = ["UN", "OB", "DS", "FD", "SL", "US", "PN", "LT", "UR", "AT", "UV", "SQ", "xx", None, "", 5]
LEVEL = strategies.dictionaries(strategies.sampled_from(KEYS), strategies.sampled_from(PLAIN), max_size=6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    LEVEL,
    strategies.lists(LEVEL, min_size=2, max_size=6),
    strategies.dictionaries(strategies.sampled_from(KEYS), strategies.sampled_from(KINDS), max_size=4),
    strategies.booleans(),
)
def test_any_series_of_any_values(series, instances, vrs, signed):
    shared = SharedJson()
    for number, tags in enumerate([*instances, *({**instances[0], **one} for one in instances)]):
        assert_same(shared, ({}, {}, series, tags), vrs, signed, number)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("key", KEYS)
def test_any_value_after_any_other(key, order):
    for vrs in ({}, *({key: vr} for vr in KINDS)):
        shared = SharedJson()
        for number, value in enumerate(PLAIN[::order]):
            assert_same(shared, ({}, {}, {}, {key: value}), vrs, False, number)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PatientName": "Doe"}, None),
        ({"SpecificCharacterSet": ["ISO_IR 100"], "PatientName": "Doe"}, 0),
        ({"LengthToEnd": 1, "ImageType": ["X"], "PatientName": "Müller"}, 1),
        ({"ReferencedImageSequence": [{"DeviceDescription": "é"}]}, 0),
    ],
    ids=["ascii stays", "replaced", "added for text", "added for text in items"],
)
def test_character_set_is_utf8_wherever_it_matters(tags, expected):
    made = orjson.loads(SharedJson().make(({},), tags, {}, False, Own({}, str)))
    assert list(made) == sorted(made)
    if expected is None:
        assert "00080005" not in made
    else:
        assert list(made)[expected] == "00080005"
        assert made["00080005"] == element("CS", ["ISO_IR 192"])


def test_after_a_failure_nothing_of_the_failed_instance_is_left():
    shared = SharedJson()
    good = {"InstanceNumber": "1", "SliceLocation": "5", "00091001": BULK}
    before = shared.make(({},), good, {}, False, Own({}, str))

    def fails(path):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        shared.make(({},), {**good, "InstanceNumber": "2", "SliceLocation": "6"}, {}, False, Own({}, fails))
    assert shared.make(({},), good, {}, False, Own({}, str)) == before
