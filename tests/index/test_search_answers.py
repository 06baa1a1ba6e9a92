"""What the rows of a search hold (dicomweb.md Q-40 and following)."""

import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.indexer import index_image_set
from tests.index.documents import document, instance
from tests.index.filled import ask


def test_a_study_answer(filled):
    (row,) = ask(filled, "study", ("PatientID", "A1")).rows
    assert row == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20240101"]},
        "00080030": {"vr": "TM", "Value": ["103000"]},
        "00080050": {"vr": "SH", "Value": ["ACC-1"]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": {"vr": "CS", "Value": ["CT", "SR"]},
        "00080090": {"vr": "PN"},
        "00081030": {"vr": "LO", "Value": ["CT chest"]},
        "00081190": {"vr": "UR"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^John^^Dr"}]},
        "00100020": {"vr": "LO", "Value": ["A1"]},
        "00100030": {"vr": "DA", "Value": ["19700131"]},
        "00100040": {"vr": "CS", "Value": ["M"]},
        "0020000D": {"vr": "UI", "Value": ["1.1"]},
        "00200010": {"vr": "SH"},
        "00201206": {"vr": "IS", "Value": [2]},
        "00201208": {"vr": "IS", "Value": [6]},
    }


STUDY_KEYS = {
    *("00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081030", "00100010"),
    *("00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
}


SERIES_KEYS = {
    *(
        "00080021",
        "00080031",
        "00080060",
        "0008103E",
        "00180015",
        "0020000D",
        "0020000E",
        "00200011",
        "00201209",
    ),
}


INSTANCE_KEYS = {
    *("00080016", "00080018", "00080056", "00083002", "0020000D", "0020000E", "00200013"),
    *("00280010", "00280011", "00280100"),
}


@pytest.mark.parametrize(
    ("level", "scope", "keys"),
    [
        ("study", {}, STUDY_KEYS),
        ("series", {}, STUDY_KEYS | SERIES_KEYS),
        ("series", {"study_uid": "1.2"}, SERIES_KEYS),
        ("instance", {}, STUDY_KEYS | SERIES_KEYS | INSTANCE_KEYS),
        ("instance", {"study_uid": "1.2"}, SERIES_KEYS | INSTANCE_KEYS),
        ("instance", {"study_uid": "1.2", "series_uid": "1.2.1"}, INSTANCE_KEYS),
    ],
)
def test_the_attributes_of_each_route(filled, level, scope, keys):
    """dicomweb.md Q-44 to Q-47, on rows that know nothing optional."""
    row = ask(filled, level, ("StudyInstanceUID", "1.2"), **scope).rows[0]
    assert set(row) == keys | {"00080005", "00081190"}
    assert list(row) == sorted(row)


def test_optional_series_attributes(filled):
    (row,) = ask(filled, "series", ("SeriesInstanceUID", "1.1.1")).rows
    assert row["00400275"]["Value"][1]["00401001"] == {"vr": "SH", "Value": ["R2"]}
    (row,) = ask(filled, "series", ("SeriesInstanceUID", "1.5.1"), study_uid="1.5").rows
    assert row["00400244"] == {"vr": "DA", "Value": ["20231230"]}


def test_counts_agree_with_the_searches(filled):
    for study in ask(filled, "study").rows:
        uid = study["0020000D"]["Value"][0]
        series = ask(filled, "series", study_uid=uid).rows
        assert study["00201206"]["Value"] == [len(series)]
        assert study["00201208"]["Value"] == [len(ask(filled, "instance", study_uid=uid).rows)]
        for one in series:
            below = ask(filled, "instance", study_uid=uid, series_uid=one["0020000E"]["Value"][0]).rows
            assert one["00201209"]["Value"] == [len(below)]


@pytest.mark.parametrize(
    ("level", "include", "key", "present"),
    [
        ("study", "IssuerOfPatientID", "00100021", True),
        ("study", "00280010", "00280010", False),
        ("study", "BodyPartExamined", "00180015", False),
        ("series", "PatientName", "00100010", True),
        ("instance", "PatientName,BodyPartExamined", "00180015", True),
        ("instance", "BitsStored", "00280101", True),
        ("instance", "all", "00280102", True),
        ("series", "all", "00280102", False),
        ("study", "all", "00100021", True),
    ],
)
def test_includefield(filled, level, include, key, present):
    scope = {} if level == "study" else {"study_uid": "1.3"}
    row = ask(filled, level, ("StudyInstanceUID", "1.3"), ("includefield", include), **scope).rows[0]
    assert (key in row) == present


STEP, PROCEDURE = ({"vr": "SH", "Value": [value]} for value in ("S1", "R1"))


STEPS_ONLY = [{"00400009": STEP}, {"00400009": {"vr": "SH", "Value": ["S2"]}}]


WHOLE = [
    {"00400009": STEP, "00401001": PROCEDURE},
    {**STEPS_ONLY[1], "00401001": {"vr": "SH", "Value": ["R2"]}},
]


@pytest.mark.parametrize(
    ("level", "scope", "pairs", "items"),
    [
        ("instance", {"series_uid": "1.1.1"}, [("includefield", "00400275.00400009")], STEPS_ONLY),
        ("instance", {"series_uid": "1.1.1"}, [("includefield", "00400275.00400008.00080100")], [{}, {}]),
        ("instance", {"series_uid": "1.1.1"}, [("includefield", "00400275.00400009,00400275")], WHOLE),
        # a matching key answers its attribute, and a series answer holds it anyhow
        (
            "instance",
            {"series_uid": "1.1.1"},
            [("00400275.00401001", "R1"), ("includefield", "00400275.00400009")],
            WHOLE,
        ),
        ("series", {}, [("00400275.00401001", "R1"), ("includefield", "00400275.00400009")], WHOLE),
        ("series", {}, [("SeriesInstanceUID", "1.1.1"), ("includefield", "00400275.00400009")], WHOLE),
    ],
)
def test_a_dotted_includefield_answers_the_named_members(filled, level, scope, pairs, items):
    rows = ask(filled, level, *pairs, study_uid="1.1", **scope).rows
    assert rows
    assert all(row["00400275"] == {"vr": "SQ", "Value": items} for row in rows)


def test_the_real_documents_answer_as_they_say(engine, ahi_documents):
    for path in sorted(ahi_documents.rglob("*.json")):
        index_image_set(engine, parse_document(path.read_bytes()), version=1, is_primary=True)
    (row,) = ask(engine, "study", ("PatientName", "mayra*")).rows
    assert row["00080030"] == {"vr": "TM", "Value": ["215500.000000"]}
    assert row["00201208"] == {"vr": "IS", "Value": [588]}
    slices = ask(engine, "instance", ("Modality", "CT"), ("StudyDate", "20230417")).rows
    numbers = [row["00200013"]["Value"][0] for row in slices]
    assert len(numbers) == 588
    assert numbers == sorted(numbers)
    (us,) = ask(
        engine, "study", ("StudyInstanceUID", "1.3.6.1.4.1.25403.166563008443.732.20120418082458.1")
    ).rows
    assert us["00080050"] == {"vr": "SH"}
    frames = ask(engine, "instance", ("NumberOfFrames", "1"), ("Modality", "US")).rows
    assert {row["00280008"]["Value"][0] for row in frames} == {1}
    private = ask(engine, "instance", ("Modality", "US"), ("includefield", "7FDD1090")).rows
    assert all(row["7FDD0010"]["vr"] == "LO" for row in private if "7FDD1090" in row)


def test_the_timezone_is_answered_where_instances_have_it(engine):
    made = {"1.2.1.1": instance("1.2.1.1", TimezoneOffsetFromUTC="+0100")}
    index_image_set(engine, document("1.2", {"1.2.1": made}), version=1)
    for level in ("study", "series", "instance"):
        (row,) = ask(engine, level).rows
        assert row["00080201"] == {"vr": "SH", "Value": ["+0100"]}
    # where a series has none the other does not speak for it: a rule may hide one of them
    both = {"1.2.1": made, "1.2.2": {"1.2.2.1": instance("1.2.2.1")}}
    index_image_set(engine, document("1.2", both), version=2)
    assert "00080201" not in ask(engine, "study").rows[0]
    assert ["00080201" in row for row in ask(engine, "series").rows] == [True, False]
