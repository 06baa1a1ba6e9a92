"""Document to Dataset to Part 10 to pydicom: what HealthImaging says is what a reader gets (W-5, J-28)."""

from base64 import b64encode
from io import BytesIO

import pydicom
import pytest

from dicomweb_gateway.dicom.part10 import without_pixels
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE
from dicomweb_gateway.errors import CorruptMetadata
from dicomweb_gateway.imagesets.dataset import frame_dataset, instance_dataset
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.imagesets.metadata import parse_document
from tests.imagesets.documents import blob, instance_of

REAL = [
    "real-metadata-ct-588-instances.json",
    "real-metadata-us-multiframe-rgb-private.json",
    "example/image-set-ct.json",
    "example/image-set-seg-binary.json",
    "example/image-set-sr-no-pixels.json",
]


def round_trip(instance):
    return pydicom.dcmread(BytesIO(without_pixels(instance_dataset(instance), EXPLICIT_VR_LE)))


def read_back(tags, vrs=None, **more):
    return round_trip(instance_of(blob(tags, vrs, **more)))


def without_group_2(json):
    return {key: value for key, value in json.items() if not key.startswith("0002")}


@pytest.mark.parametrize("name", REAL)
def test_real_documents_survive_the_round_trip(ahi_documents, name):
    document = parse_document((ahi_documents / name).read_bytes())
    seen = 0
    for series in document.series():
        for instance in list(series.instances())[:5]:
            merged = {key: value for level in instance.levels for key, value in level.items()}
            signed = bool(instance.pixels and instance.pixels.pixel_representation)
            told = dicom_json(merged, instance.vrs, "bulk:".__add__, signed, inline_max=1 << 20)
            found = round_trip(instance)
            again = found.to_json_dict(lambda element: "bulk:", suppress_invalid_tags=False)
            assert list(told) == list(without_group_2(again))
            for tag, element in told.items():
                if "Value" in element and element["vr"] in (
                    "LO",
                    "CS",
                    "SH",
                    "DA",
                    "TM",
                    "UI",
                    "PN",
                    "US",
                    "AT",
                ):
                    # pydicom writes an empty member as "", we as J-21 says
                    values = [value or None for value in again[tag]["Value"]] if tag == "00080008" else None
                    assert {**again[tag], **({"Value": values} if values else {})} == element, tag
            seen += 1
    assert seen


@pytest.mark.parametrize(
    ("key", "value", "vr", "expected"),
    [
        ("PatientID", "P1 ", None, "P1"),
        ("PatientName", "Müller^Jörg=山田", None, "Müller^Jörg=山田"),
        ("PixelSpacing", ["0.123456789012", "1.50 "], None, ["0.123456789012", "1.50"]),
        ("RescaleSlope", "1.0000000000000001e-5", None, "1.0000000000000001e-5"),
        ("InstanceNumber", "007", None, "007"),
        ("StudyID", None, None, None),
        ("ImageType", ["ORIGINAL", "", "AXIAL"], None, ["ORIGINAL", "", "AXIAL"]),
        ("PatientComments", "  indented\\text", None, "  indented\\text"),
        ("FrameIncrementPointer", ["00181065"], None, 0x00181065),
        ("00091001", "AAEC", "OB", b"\0\1\2\0"),
        ("00091001", "AAEC", "UN", b"\0\1\2\0"),
        ("00091001", "AAECAw==", "OW", b"\0\1\2\3"),
        ("00091001", [1.5, "2.5"], "FD", [1.5, 2.5]),
        ("00091001", -(2**40), "SV", -(2**40)),
        ("00091001", "  40000\0", "US", 40000),
        ("00091001", "x" * 70_000, "LO", ("x" * 70_000).encode()),
    ],
)
def test_values_keep_what_was_written(key, value, vr, expected):
    found = read_back({"00090010": "MAKER", key: value}, {"00091001": vr} if vr else {})[key]
    kept = found.value
    if found.VR in ("DS", "IS"):
        kept = [v.original_string for v in kept] if found.VM > 1 else kept.original_string
    assert (str(kept) if found.VR == "PN" else kept or None) == expected


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("US", ["1", "", None, "x", 3], [1, 3]),
        ("US", [70_000, -1, 65_535, 0], [65_535, 0]),
        ("SS", [-32_769, -32_768, 32_767, 32_768], [-32_768, 32_767]),
        ("FL", ["", "abc", 1.5], 1.5),
        ("AT", ["", "nonsense", "00181065"], 0x00181065),
        ("UL", [None], None),
        ("AT", ["2" * 78, -1, "7FE00010"], 0x7FE00010),
        ("US", [70.0, "66.0", 1.5, "1.5"], [70, 66]),
        ("UV", ["18446744073709551615", 9007199254740993], [18446744073709551615, 9007199254740993]),
    ],
)
def test_members_that_are_no_numbers_of_their_vr_are_left_out(vr, value, expected):
    assert read_back({"00091001": value}, {"00091001": vr})["00091001"].value == expected


@pytest.mark.parametrize("value", ["AAE", "AA_*", "AAECA===", "text"[:3]])
def test_a_binary_value_that_is_not_base64_is_an_upstream_fault(value):
    with pytest.raises(CorruptMetadata, match="base64"):
        instance_dataset(instance_of(blob({"00091001": value}, {"00091001": "UN"})))


@pytest.mark.parametrize("value", ["AP/+", "AP_-", " AP/+\n", "A\r\nP_-"])
def test_no_byte_of_oddly_written_base64_is_lost(value):
    found = instance_dataset(instance_of(blob({"00091001": value}, {"00091001": "OB"})))
    assert found["00091001"].value == b"\x00\xff\xfe\x00"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"StudyDescription": "plain"}, None),
        ({"SpecificCharacterSet": ["ISO_IR 100"], "StudyDescription": "plain"}, "ISO_IR 192"),
        ({"StudyDescription": "für"}, "ISO_IR 192"),
        ({"RequestAttributesSequence": [{"StudyID": "é"}]}, "ISO_IR 192"),
    ],
)
def test_text_is_labelled_utf8(tags, expected):
    found = read_back(tags)
    assert found.get("SpecificCharacterSet") == expected
    assert found.get("StudyDescription", "für") == tags.get("StudyDescription", "für")


def test_nested_private_sequences():
    inner = {
        "00090010": "MAKER",
        "00091002": [{"00090010": "MAKER", "00091003": b64encode(b"abcd").decode()}],
    }
    vrs = {"00090010": "LO", "00091003": "OB"}
    found = read_back({"00090010": "MAKER", "00091001": [inner, {}]}, vrs)
    items = found["00091001"].value
    assert items[0]["00091002"].value[0]["00091003"].value == b"abcd"
    assert len(items[1]) == 0


GROUPS = {
    "SharedFunctionalGroupsSequence": [{"PixelMeasuresSequence": [{"SliceThickness": "5"}]}],
    "PerFrameFunctionalGroupsSequence": [
        {
            "FrameContentSequence": [{"FrameAcquisitionNumber": number}],
            "FrameVOILUTSequence": [{"WindowCenter": str(number), "WindowWidth": "9"}],
        }
        for number in (10, 20, 30)
    ],
}
WANTED = frozenset({0x00281050, 0x00289132})


@pytest.mark.parametrize(("index", "center"), [(0, 10), (1, 20), (2, 30)])
def test_a_frame_has_its_own_groups_and_nothing_that_is_not_wanted(index, center):
    tags = {"WindowCenter": "1", "WindowWidth": "2", "PatientID": "P", **GROUPS}
    found = frame_dataset(instance_of(blob(tags)), index, WANTED)
    assert [element.tag for element in found] == [0x00281050, 0x52009229, 0x52009230]
    (item,) = found.PerFrameFunctionalGroupsSequence
    assert [element.keyword for element in item] == ["FrameVOILUTSequence"]
    assert float(item.FrameVOILUTSequence[0].WindowCenter) == center
    assert not len(found.SharedFunctionalGroupsSequence[0])


@pytest.mark.parametrize("groups", [None, "odd", [], [None], {"FrameVOILUTSequence": {"WindowCenter": "7"}}])
def test_groups_of_every_shape(groups):
    found = frame_dataset(instance_of(blob({"PerFrameFunctionalGroupsSequence": groups})), 0, WANTED)
    items = found.PerFrameFunctionalGroupsSequence or []
    assert [float(item.FrameVOILUTSequence[0].WindowCenter) for item in items if len(item)] in ([], [7])
    missing = frame_dataset(instance_of(blob(GROUPS)), 3, WANTED)
    assert len(missing.PerFrameFunctionalGroupsSequence or []) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("BodyPartExamined", "頭"),
        ("ImageType", ["ORIGINAL", "für", "頭"]),
        ("RescaleSlope", "é"),
        ("NumberOfFrames", "１"),
        ("StudyDate", "令和6年"),
        ("FrameOfReferenceUID", "1.２"),
        ("RetrieveURL", "http://é"),
    ],
)
def test_text_outside_its_repertoire_is_written_as_utf8(key, value):
    """As any other text (J-28): real files hold it, and one such value must not keep an instance back."""
    written = without_pixels(instance_dataset(instance_of(blob({key: value}))), EXPLICIT_VR_LE)
    joined = "\\".join(value) if isinstance(value, list) else value
    assert joined.encode() in written
    assert b"ISO_IR 192" in written


@pytest.mark.parametrize("key", ["00280103", "0008103F", "00080060"])
def test_unknown_stays_unknown_where_pydicom_knows_better(key):
    """A store with an older dictionary than ours records UN."""
    dataset = instance_dataset(instance_of(blob({key: "AQIDBA=="}, {key: "UN"})))
    tag = bytes.fromhex(key)
    head = tag[1::-1] + tag[:1:-1] + b"UN\0\0\4\0\0\0"
    assert head + b"\1\2\3\4" in without_pixels(dataset, EXPLICIT_VR_LE)
