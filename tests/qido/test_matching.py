import time as clock
from datetime import date, datetime, time

import pytest

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, tag_text
from dicomweb_gateway.dicom.json_model import element
from dicomweb_gateway.qido.attributes import ATTRIBUTES
from dicomweb_gateway.qido.matching import meets, sort_value
from dicomweb_gateway.qido.parse import parse_query

CODES = "ProcedureCodeSequence"
REQUESTS = "RequestAttributesSequence"


def held(**tags):
    """DICOM JSON of keywords and their values; a list has several members, a dictionary is an item."""
    document = {}
    for keyword, value in tags.items():
        row = attribute_of_keyword(keyword)
        values = value if isinstance(value, list) else [value]
        if row.vr == "SQ":
            values = [held(**item) for item in values]
        vr = "SS" if row.vr == "US or SS" else row.vr
        document[tag_text(row.tag)] = element(vr, [] if value is None else values)
    return document


def fits(data, *pairs, **switches):
    args = [*pairs, *((name, "true") for name in switches)]
    query = parse_query("instance", args)
    assert query.conditions or query.stored
    return all(meets(condition, data) for condition in (*query.conditions, *query.stored))


@pytest.mark.parametrize(
    ("keyword", "stored", "hits", "misses"),
    [
        ("FrameOfReferenceUID", "1.2.3", ["1.2.3", "1.9,1.2.3"], ["1.2", "1.2.30"]),
        ("ImageType", ["ORIGINAL", "", "AXIAL"], ["AXIAL", "ORIG*", "x,AXIAL", "A????"], ["axial", "*L*A*"]),
        ("SeriesDescription", " T1, ax ", ["T1, ax", "T1*", " T1, ax"], ["T1", "t1, ax"]),
        ("PatientComments", "a\nb, c\\d  ", ["a b, c\\d", "a?b, c\\*"], ["a", "c", "d"]),
        ("StationAETitle", "AE_1 ", ["AE_1", "AE?1", "*_*"], ["AE", "ae_1"]),
        ("LongCodeValue", "100%", ["100%", "1*%"], ["100", "1_0%"]),
        ("OperatorsName", ["Doe^Jane", "Roe^Al"], ["roe^al", "DOE*", "Doe^Jane^^"], ["Doe", "Jane"]),
        (
            "OperatorsName",
            "Yamada^T=山田^太郎=やまだ",
            ["山田*", "=山田^太郎", "Yam*==や*"],
            ["=Yam*", "山田"],
        ),
        ("OperatorsName", "Гусева^А", ["гусева*"], ["гусев"]),
        ("InstanceCreationDate", "20240229", ["20240229", "-20240229"], ["20240301-"]),
        ("InstanceCreationDate", "2024.02.29", ["20240229", "20240228-"], ["20240228"]),
        ("DateOfLastCalibration", ["20230101", "20240101"], ["20240101", "-20230101"], ["20230102-20231231"]),
        ("ContentTime", "103005.5", ["1030", "103005.5", "10-11", "-1030"], ["1031-", "103005.4"]),
        ("InstanceCreationTime", "10:30:05", ["103005"], ["11"]),
        ("FrameReferenceDateTime", "20240101103000", ["2024", "202401011030", "-2024"], ["2023", "2025-"]),
        ("FrameReferenceDateTime", "20240101003000+0100", ["20231231", "202312312330"], ["20240101"]),
        ("PatientAge", "045Y", ["045Y", " 045Y "], ["45Y", "045"]),
        ("FrameIncrementPointer", ["00181063", "0018106A"], ["0018106a", "00181063"], ["00181065"]),
        ("PixelPaddingValue", -2000, ["-2000", "-02000"], ["2000", "-200"]),
        ("SmallestImagePixelValue", 0, ["0", "-0", "000"], ["1"]),
        ("AcquisitionNumber", "007", ["7", "+7", "007"], ["70"]),
        ("RegionFlags", 2**32 - 1, [str(2**32 - 1)], ["-1"]),
        ("SelectorUVValue", ["18446744073709551615"], ["18446744073709551615"], ["18446744073709551616"]),
        ("ReferencePixelX0", -5, ["-5"], ["5"]),
        ("PatientWeight", "71.50", ["71.5", "+71.500", "7150e-2", "0.715E2"], ["71", "71.51", "715"]),
        ("PixelSpacing", ["0.1", "0.25"], ["0.25", ".1", "1e-1"], ["0.10000000000000001", "0"]),
        ("SliceThickness", "5", ["5", "5.0"], ["5.1"]),
        ("PhysicalDeltaX", -0.0229, ["-0.0229", "-229e-4"], ["0.0229"]),
        ("ExposureTimeInms", 1e-300, ["1e-300"], ["0", "1e-301"]),
    ],
)
def test_values_match_by_their_vr(keyword, stored, hits, misses):
    data = held(**{keyword: stored})
    tag = tag_text(attribute_of_keyword(keyword).tag).lower()
    for key in (keyword, tag):
        assert [value for value in hits if not fits(data, (key, value))] == []
        assert [value for value in misses if fits(data, (key, value))] == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FrameOfReferenceUID", "1.2"),
        ("ImageType", "?*"),
        ("OperatorsName", "?*"),
        ("InstanceCreationDate", "00010101-"),
        ("ContentTime", "00-"),
        ("FrameReferenceDateTime", "0002-"),
        ("AcquisitionNumber", "0"),
        ("PatientWeight", "0"),
        ("PatientAge", "000Y"),
        ("FrameIncrementPointer", "00000000"),
    ],
)
def test_missing_empty_and_unusable_values_match_nothing_but_the_wish_for_none(keyword, value):
    tag = tag_text(attribute_of_keyword(keyword).tag)
    nothing = [
        *({}, {tag: {"vr": "LO"}}, {tag: {"vr": "LO", "Value": []}}, {tag: {"vr": "LO", "Value": [None]}}),
        *({tag: {"vr": "LO", "Value": [one]}} for one in ("", " \0", {}, [], True, "\x01")),
        *({tag: one} for one in (None, [], {"Value": None}, {"Value": {"0": 1}}, {"vr": "UN"})),
    ]
    for data in nothing:
        assert not fits(data, (keyword, value)), data
        assert fits(data, (keyword, '""'), emptyvaluematching=True), data
        assert fits(data, (keyword, '""'), (keyword, value), emptyvaluematching=True), data


@pytest.mark.parametrize(
    ("keyword", "stored", "empty"),
    [
        ("PatientWeight", "70", False),
        ("PatientWeight", "heavy", True),
        ("AcquisitionNumber", "1.5", True),
        ("ImageType", ["", "AXIAL"], False),
        ("ImageType", ["", ""], True),
        ("OperatorsName", "^^", True),
        ("OperatorsName", "=山", False),
        ("InstanceCreationDate", "20240231", True),
    ],
)
def test_empty_is_what_has_no_value_to_match(keyword, stored, empty):
    """Q-25, as for columns, where what cannot be used is no value."""
    assert fits(held(**{keyword: stored}), (keyword, '""'), emptyvaluematching=True) is empty


@pytest.mark.parametrize(
    ("zones", "outer", "item"),
    [({}, "20240101", "20240101"), ({"TimezoneOffsetFromUTC": "+0100"}, "20231231", "20231231")],
)
def test_date_times_without_a_zone_have_that_of_the_data(zones, outer, item):
    """Q-20; what the data say holds for items too."""
    when = {"FrameReferenceDateTime": "20240101003000"}
    assert fits(held(**when, **zones), ("FrameReferenceDateTime", outer))
    data = held(ReferencedImageSequence=[when], **zones)
    assert fits(data, ("ReferencedImageSequence.FrameReferenceDateTime", item))
    own = {**when, "TimezoneOffsetFromUTC": "-0100"}
    data = held(ReferencedImageSequence=[own], **zones)
    assert fits(data, ("ReferencedImageSequence.FrameReferenceDateTime", "2024010101"))


def test_fuzzy_words():
    data = held(OperatorsName=["Müller^Jörg", "Roe^Ann"])
    for value in ("jorg mul", "MULLER", "ro", "ann^roe"):
        assert fits(data, ("OperatorsName", value), fuzzymatching=True)
    for value in ("uller", "ann muller"):
        assert not fits(data, ("OperatorsName", value), fuzzymatching=True)


ITEMS = [
    {"CodeValue": "A", "CodeMeaning": "first", "EquivalentCodeSequence": [{"CodeValue": "x"}]},
    {
        "CodeValue": "B",
        "CodeMeaning": "second",
        "EquivalentCodeSequence": [
            {"CodeValue": "y", "CodingSchemeDesignator": "S"},
            {"CodeValue": "z", "CodingSchemeDesignator": "T"},
        ],
    },
]
VALUE, MEANING = f"{CODES}.CodeValue", f"{CODES}.CodeMeaning"
DEEP, SCHEME = f"{CODES}.EquivalentCodeSequence.CodeValue", f"{CODES}.00080121.CodingSchemeDesignator"


@pytest.mark.parametrize(
    ("pairs", "fit"),
    [
        ([(VALUE, "A")], True),
        ([(VALUE, "C")], False),
        ([(VALUE, "B"), (MEANING, "sec*")], True),
        ([(VALUE, "A"), (MEANING, "second")], False),
        ([(VALUE, "A"), (VALUE, "C"), (MEANING, "first")], True),
        ([(DEEP, "x")], True),
        ([(DEEP, "x"), (VALUE, "A")], True),
        ([(DEEP, "x"), (VALUE, "B")], False),
        ([(DEEP, "y"), (SCHEME, "S"), (VALUE, "B")], True),
        ([(DEEP, "y"), (SCHEME, "T")], False),
        ([(DEEP, "y"), ("StudyDescription", "x")], False),
        ([("CodeValue", "A")], False),
    ],
)
def test_one_item_meets_all_keys_of_its_sequence(pairs, fit):
    """Q-23, at every depth."""
    assert fits(held(**{CODES: ITEMS}), *pairs) is fit


@pytest.mark.parametrize(
    ("items", "pairs", "fit"),
    [
        (None, [(VALUE, '""')], True),
        ([{}], [(VALUE, '""')], True),
        ([{"CodeValue": "A"}], [(VALUE, '""')], False),
        ([{"CodeValue": "A"}, {}], [(VALUE, '""')], True),
        (None, [(VALUE, '""'), (VALUE, "A")], True),
        (None, [(VALUE, '""'), (MEANING, "x")], False),
        ([{"CodeMeaning": "x"}], [(VALUE, '""'), (MEANING, "x")], True),
        (None, [(DEEP, '""')], True),
        ([{"CodeValue": "A"}], [(DEEP, '""')], True),
        (None, [(DEEP, '""'), (VALUE, "A")], False),
        ([{"CodeValue": "A"}], [(DEEP, '""'), (VALUE, "A")], True),
        (ITEMS, [(DEEP, '""')], False),
    ],
)
def test_items_without_a_value(items, pairs, fit):
    """Where only absence is asked for, a sequence without items fits too."""
    assert fits(held(**{CODES: items} if items else {}), *pairs, emptyvaluematching=True) is fit


def test_request_items_with_and_without_columns_are_judged_alike():
    items = [
        {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R1", "AccessionNumber": "A1"},
        {"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "R2", "AccessionNumber": "A2"},
    ]
    data = held(**{REQUESTS: items})
    step, procedure = f"{REQUESTS}.ScheduledProcedureStepID", f"{REQUESTS}.RequestedProcedureID"
    accession = f"{REQUESTS}.AccessionNumber"
    assert fits(data, (step, "S1"), (procedure, "R1"))
    assert not fits(data, (step, "S1"), (procedure, "R2"))
    assert fits(data, (step, "S1"), (accession, "A1"))
    assert not fits(data, (step, "S1"), (accession, "A2"))
    assert fits({}, (step, '""'), emptyvaluematching=True)
    assert not fits(data, (step, '""'), emptyvaluematching=True)


def test_modalities_of_the_study_are_those_that_the_caller_adds():
    modalities = {"00080061": element("CS", ["CT", "SR"])}
    (listed,) = parse_query("study", [("ModalitiesInStudy", "MR,S?")]).conditions
    assert meets(listed, modalities)
    assert not meets(listed, {"00080061": element("CS", ["CT"])})
    assert not meets(listed, {})
    pairs = [("ModalitiesInStudy", '""'), ("emptyvaluematching", "true")]
    (empty,) = parse_query("study", pairs).conditions
    assert meets(empty, {})
    assert not meets(empty, modalities)


@pytest.mark.parametrize(
    ("keyword", "stored", "value"),
    [
        ("PatientName", ["Müller^Ida^=山田"], "müller^ida"),
        ("PatientName", ["=山田"], None),
        ("SeriesDescription", [" a", "b "], "a\\b"),
        ("SeriesNumber", ["007"], 7),
        ("InstanceNumber", ["x"], None),
        ("StudyDate", ["20240102"], date(2024, 1, 2)),
        ("StudyTime", ["1015"], time(10, 15)),
        ("AcquisitionDateTime", ["20240102101500+0200"], datetime(2024, 1, 2, 8, 15)),
        ("StudyInstanceUID", ["1.2"], "1.2"),
    ],
)
def test_the_value_to_sort_by_is_that_of_a_column(keyword, stored, value):
    attribute = attribute_of_keyword(keyword)
    assert attribute is not None
    data = {tag_text(attribute.tag): element(attribute.vr, stored)}
    assert sort_value(ATTRIBUTES[attribute.tag], data) == value
    assert sort_value(ATTRIBUTES[attribute.tag], {}) is None


HUGE = [
    *(10**5000, -(10**80), 1e308, float("inf"), float("nan"), "1e999999999", "9" * 100_000, "1e-500"),
    *("x" * 100_000, "\\" * 100, "^" * 5000, "=" * 5000, "*", "?", "\ud7ff", {"Alphabetic": 5}, {"x": []}),
]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientWeight", "1e400"),
        ("AcquisitionNumber", "6"),
        ("InstanceCreationDate", "20240101-"),
        ("ContentTime", "-12"),
        ("FrameReferenceDateTime", "2024-"),
        ("OperatorsName", "a*b?c"),
        ("ImageType", "*a?b*c"),
        ("FrameOfReferenceUID", "1.2"),
        (VALUE, "A"),
    ],
)
def test_no_stored_value_breaks_or_delays(keyword, value):
    tag = tag_text(attribute_of_keyword(keyword.split(".")[0]).tag)
    start = clock.monotonic()
    for member in HUGE:
        assert not fits({tag: {"vr": "??", "Value": [member]}}, (keyword, value)), member
    assert not fits({tag: {"vr": "??", "Value": HUGE}}, (keyword, value))
    assert clock.monotonic() - start < 5
