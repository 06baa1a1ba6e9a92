"""Elements that are given again are those that would have been made anew (J-20 to J-29)."""

from base64 import b64encode

import orjson
import pytest

from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.shared_json import Own, SharedJson

BULK = b64encode(bytes(5000)).decode()


def anew(levels, vrs, signed, own, bulk_uri):
    merged = {key: value for level in levels for key, value in level.items()}
    made = {**dicom_json(merged, vrs, bulk_uri, signed), **own}
    return dict(sorted(made.items()))


def assert_same(shared, levels, vrs, signed, number):
    own = {"00083002": {"vr": "UI", "Value": [str(number)]}}
    bulk_uri = f"http://gw/{number}/".__add__
    *above, tags = levels
    made = shared.make(tuple(above), tags, vrs, signed, Own(own, bulk_uri))
    # bytes, because 1 equals 1.0 and True
    assert orjson.dumps(made) == orjson.dumps(anew(levels, vrs, signed, own, bulk_uri))


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


def test_values_that_repeat_are_shared():
    shared = SharedJson()
    made = [
        shared.make(ABOVE, {"Rows": 512, "ImageType": ["A", "B"]}, {}, False, Own({}, str)) for _ in range(2)
    ]
    assert all(made[0][tag] is made[1][tag] for tag in ("00080008", "00280010", "00100010"))
