import random
from datetime import date, time
from decimal import Decimal

import pytest

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    REQUEST_ITEM_ATTRIBUTES,
    item_attribute,
    stored_attribute,
)
from dicomweb_gateway.qido.expression import (
    DateRange,
    DecimalIn,
    EmptyOr,
    IsEmpty,
    ItemIn,
    ModalitiesIn,
    NameIn,
    NamePattern,
    NameWord,
    NameWords,
    NumberIn,
    RangeIn,
    RequestItem,
    TextIn,
    TextPattern,
    TimeRange,
    UidIn,
)
from dicomweb_gateway.qido.keys import MAX_STORED
from dicomweb_gateway.qido.name_values import MAX_WORDS
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.qido.text_values import MAX_PATTERNS, MAX_VALUES

BY_KEYWORD = {row.keyword: row for row in [*ATTRIBUTES.values(), *REQUEST_ITEM_ATTRIBUTES.values()]}


def only(level, name, value):
    (condition,) = parse_query(level, [(name, value)]).conditions
    return condition


def text(keyword, *patterns):
    made = tuple(TextPattern(p, "*" in p or "?" in p) for p in patterns)
    return TextIn(BY_KEYWORD[keyword], made)


def named(*patterns):
    made = tuple((NamePattern(TextPattern(p, "*" in p or "?" in p), None),) for p in patterns)
    return NameIn(BY_KEYWORD["PatientName"], made)


def within(keyword, *ranges):
    return RangeIn(BY_KEYWORD[keyword], ranges)


@pytest.mark.parametrize(
    ("name", "value", "condition"),
    [
        ("PatientID", "abc", text("PatientID", "abc")),
        ("00100020", " abc ", text("PatientID", "abc")),
        ("0020000d", "1.2", UidIn(BY_KEYWORD["StudyInstanceUID"], ("1.2",))),
        ("StudyInstanceUID", "1.2,1.3\\1.2,", UidIn(BY_KEYWORD["StudyInstanceUID"], ("1.2", "1.3"))),
        ("PatientID", "a**b?", text("PatientID", "a*b?")),
        ("StudyDescription", "Chest, PA", text("StudyDescription", "Chest, PA", "Chest", "PA")),
        ("PatientSex", "M\\F", text("PatientSex", "M\\F", "M", "F")),
        ("ModalitiesInStudy", "CT", ModalitiesIn((TextPattern("CT", False),))),
        ("Modality", "CT", ModalitiesIn((TextPattern("CT", False),))),
        ("PatientName", "DOE^*", named("doe^*")),
        ("PatientName", "Doe^John^^", named("doe^john")),
        ("PatientName", "Гусева*", named("гусева*")),
        ("StudyDate", "20240102", within("StudyDate", DateRange(date(2024, 1, 2), date(2024, 1, 2)))),
        ("StudyDate", "20240102-", within("StudyDate", DateRange(date(2024, 1, 2), None))),
        ("StudyDate", "-20240102", within("StudyDate", DateRange(None, date(2024, 1, 2)))),
        (
            "StudyDate",
            "20240102-20240102",
            within("StudyDate", DateRange(date(2024, 1, 2), date(2024, 1, 2))),
        ),
        ("StudyTime", "1030", within("StudyTime", TimeRange(time(10, 30), time(10, 30, 59, 999999)))),
        ("StudyTime", "10-11", within("StudyTime", TimeRange(time(10), time(11, 59, 59, 999999)))),
        ("StudyTime", "10-", within("StudyTime", TimeRange(time(10), None))),
        ("StudyTime", "-10", within("StudyTime", TimeRange(None, time(10, 59, 59, 999999)))),
        ("NumberOfStudyRelatedSeries", "+07", NumberIn(BY_KEYWORD["NumberOfStudyRelatedSeries"], (7,))),
        ("NumberOfStudyRelatedSeries", "9" * 30, NumberIn(BY_KEYWORD["NumberOfStudyRelatedSeries"], ())),
    ],
)
def test_a_study_key(name, value, condition):
    assert only("study", name, value) == condition


def test_name_groups_each_fit_their_own():
    (alternative,) = only("study", "PatientName", "Yamada^Tarou==やまだ*").alternatives
    assert alternative == (
        NamePattern(TextPattern("yamada^tarou", False), 1),
        NamePattern(TextPattern("やまだ*", True), 3),
    )


@pytest.mark.parametrize("value", ["", "*", "**", " ", " * "])
@pytest.mark.parametrize(
    "name", ["PatientName", "PatientID", "StudyDate", "StudyInstanceUID", "StudyTime", "00080061"]
)
def test_universal_values_filter_nothing_and_are_answered(name, value):
    query = parse_query("study", [(name, value)])
    assert query.conditions == ()
    assert len(query.include) == 1


def test_a_repeated_key_is_a_list():
    query = parse_query(
        "study", [("PatientID", "a"), ("00100020", "b"), ("PatientName", "x"), ("PatientName", "y")]
    )
    assert query.conditions == (text("PatientID", "a", "b"), named("x", "y"))
    ranges = (
        parse_query("study", [("StudyDate", "20240101"), ("StudyDate", "20250101-")]).conditions[0].ranges
    )
    assert len(ranges) == 2
    assert parse_query("study", [("PatientID", "a"), ("PatientID", "*")]).conditions == ()
    assert parse_query("study", [("PatientID", "a,*")]).conditions == ()


@pytest.mark.parametrize("name", ["RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"])
def test_keys_of_one_sequence_belong_to_one_item(name):
    query = parse_query("series", [(name, "S1"), ("00400275.RequestedProcedureID", "R*")])
    expected = RequestItem((text("ScheduledProcedureStepID", "S1"), text("RequestedProcedureID", "R*")))
    assert query.conditions == (expected,)
    assert query.include == ((0x00400275,),)


@pytest.mark.parametrize(
    ("level", "name", "value"),
    [
        ("study", "SpecificCharacterSet", "ISO_IR 100"),
        ("study", "00080005", ""),
        ("study", "RetrieveURL", "http://gw/studies/1"),
        ("study", "ImageType", "ORIGINAL"),
        ("series", "0028010a", "1"),
        ("study", "FrameOfReferenceUID", "1.2"),
        ("study", "SeriesDescription", "x"),
        ("study", "SeriesInstanceUID", "1.2"),
        ("series", "SOPInstanceUID", "1.2"),
        ("study", "00091001", "x"),
        ("study", "DEADBEEF", "x"),
        ("series", "RequestAttributesSequence", "x"),
        ("series", "RequestAttributesSequence.RequestedProcedureCodeSequence", "x"),
        ("series", "RequestAttributesSequence.SpecificCharacterSet", "x"),
        ("series", "RequestAttributesSequence.00091001", "x"),
        ("instance", "PixelData", "x"),
        ("instance", "TransferSyntaxUID", "1.2"),
        ("series", "RequestAttributesSequence.ScheduledProcedureStepID.StudyID", "x"),
        ("study", "RequestAttributesSequence.ScheduledProcedureStepID", "x"),
        ("study", "StudyInstanceUID", "1.2*"),
        ("study", "StudyInstanceUID", "1.2,abc"),
        ("study", "StudyInstanceUID", ","),
        ("study", "StudyInstanceUID", "1." * 33 + "1"),
        ("study", "StudyDate", "2024*"),
        ("study", "StudyDate", "-"),
        ("study", "StudyDate", "20240231"),
        ("study", "StudyDate", "20240102-20240101"),
        ("study", "StudyDate", "20240101-20240102-"),
        ("study", "StudyDate", "20240101,20240102"),
        ("study", "StudyTime", "-"),
        ("study", "StudyTime", "25"),
        ("study", "StudyTime", "11-10"),
        ("study", "StudyTime", "10?"),
        ("series", "SeriesNumber", "1*"),
        ("series", "SeriesNumber", "1.5"),
        ("series", "SeriesNumber", "٣"),
        ("instance", "Rows", "0x10"),
        ("study", "PatientWeight", "7*"),
        ("study", "PatientWeight", "70kg"),
        ("study", "PatientWeight", "NaN"),
        ("study", "PatientWeight", "1e999999999"),
        ("study", "PatientWeight", "1e401"),
        ("study", "PatientWeight", "0" * 65),
        ("study", "PatientAge", "04*Y"),
        ("study", "PatientAge", "04?Y"),
        ("instance", "FrameIncrementPointer", "0018106"),
        ("instance", "FrameIncrementPointer", "FrameTime"),
        ("instance", "FrameIncrementPointer", "0018*"),
        ("series", "FrameOfReferenceUID", "1.2.*"),
        ("series", "PixelPaddingValue", "1.5"),
        ("series", "PixelPaddingValue", "-?"),
        ("instance", "InstanceCreationDate", "2024*"),
        ("study", "orderby", "PatientWeight"),
        ("study", "PatientID", "a\0b"),
        ("study", "PatientID", "\x01"),
        ("study", "PatientName", "\t\r\n"),
        ("study", "PatientID", "x" * 2000),
        ("study", "PatientID", "*a" * 17),
        ("study", "PatientName", "a=b=c=d"),
        ("study", "limit", "-1"),
        ("study", "limit", "1.0"),
        ("study", "limit", ""),
        ("study", "limit", "٣"),
        ("study", "offset", "x"),
        ("study", "fuzzymatching", "yes"),
        ("study", "totalcount", "1"),
        ("study", "orderby", "NoSuchKey"),
        ("study", "orderby", "-SeriesNumber"),
        ("study", "orderby", "ModalitiesInStudy"),
    ],
)
def test_what_cannot_be_used_is_named(level, name, value):
    with pytest.raises(InvalidRequest, match=rf"^{name}: "):
        parse_query(level, [(name, value)])


def stored(keyword, made, *values):
    return made(stored_attribute(attribute_of_keyword(keyword).tag), values)


@pytest.mark.parametrize(
    ("level", "name", "value", "condition"),
    [
        ("study", "PatientWeight", "70.50", stored("PatientWeight", DecimalIn, Decimal("70.5"))),
        ("study", "00101030", "7e1", stored("PatientWeight", DecimalIn, Decimal(70))),
        ("study", "PatientAge", "045Y", stored("PatientAge", TextIn, TextPattern("045Y", False))),
        (
            "study",
            "PatientComments",
            "*x, y*",
            stored("PatientComments", TextIn, TextPattern("*x, y*", True)),
        ),
        ("series", "00200052", "1.2\\1.3", stored("FrameOfReferenceUID", UidIn, "1.2", "1.3")),
        ("series", "PixelPaddingValue", "-02000", stored("PixelPaddingValue", NumberIn, -2000)),
        (
            "series",
            "OperatorsName",
            "Doe",
            stored("OperatorsName", NameIn, (NamePattern(TextPattern("doe", False), None),)),
        ),
        (
            "instance",
            "InstanceCreationDate",
            "20240102-",
            stored("InstanceCreationDate", RangeIn, DateRange(date(2024, 1, 2), None)),
        ),
        (
            "instance",
            "00280009",
            "0018106a",
            stored("FrameIncrementPointer", TextIn, TextPattern("0018106A", False)),
        ),
    ],
)
def test_keys_without_a_column_are_matched_over_what_is_held(level, name, value, condition):
    """dicomweb.md Q-3."""
    query = parse_query(level, [(name, value), ("PatientID", "a")])
    assert query.stored == (condition,)
    assert query.conditions == (text("PatientID", "a"),)
    assert query.include == ((condition.attribute.tag,), (0x00100020,))


def test_whole_numbers_of_columns_are_bounded_and_others_are_not():
    (condition,) = parse_query("series", [("PixelPaddingValue", "9" * 30)]).stored
    assert condition.values == (int("9" * 30),)


def test_switches_work_on_stored_keys():
    args = [("PatientAge", '""'), ("PatientAge", "045Y"), ("emptyvaluematching", "true")]
    age = stored_attribute(0x00101010)
    expected = EmptyOr(IsEmpty(age), TextIn(age, (TextPattern("045Y", False),)))
    assert parse_query("study", args).stored == (expected,)
    fuzzy = parse_query("series", [("OperatorsName", "joh"), ("fuzzymatching", "true")])
    assert fuzzy.stored == (stored("OperatorsName", NameWords, (NameWord(TextPattern("joh*", True)),)),)


@pytest.mark.parametrize("value", ["", "*"])
@pytest.mark.parametrize("name", ["ProcedureCodeSequence", "00400275.00080050", "PixelData", "00091001"])
def test_universal_keys_need_not_be_matched(name, value):
    query = parse_query("study", [(name, value)])
    assert (query.conditions, query.stored) == ((), ())
    assert len(query.include) == 1


@pytest.mark.parametrize("name", ["RequestAttributesSequence.AccessionNumber", "00400275.00080050"])
def test_another_key_takes_the_whole_sequence_along(name):
    query = parse_query("series", [("00400275.RequestedProcedureID", "R"), (name, "A")])
    accession = TextIn(item_attribute(0x00080050, "series"), (TextPattern("A", False),))
    expected = ItemIn((0x00400275,), "series", (text("RequestedProcedureID", "R"), accession))
    assert (query.conditions, query.stored, query.include) == ((), (expected,), ((0x00400275,),))


def test_too_many_keys_without_a_column_are_refused():
    """Each is judged for every resource that is looked at; keys in items count as those beside them."""
    members = (
        "CodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning MappingResource ContextIdentifier "
        "ContextUID MappingResourceUID LongCodeValue URNCodeValue ContextGroupExtensionCreatorUID "
        "ContextGroupExtensionFlag ContextGroupVersion ContextGroupLocalVersion MappingResourceName "
        "CodingSchemeURL"
    )
    names = ["PatientAge", *(f"ProcedureCodeSequence.{one}" for one in members.split())]
    args = [(name, '""') for name in names]
    switch = ("emptyvaluematching", "true")
    assert parse_query("study", [*args[:MAX_STORED], switch]).stored
    with pytest.raises(InvalidRequest, match="more than 16 attributes"):
        parse_query("study", [*args, switch])


def test_a_path_without_end_is_refused():
    with pytest.raises(InvalidRequest, match="cannot be searched"):
        parse_query("study", [("ProcedureCodeSequence." * 5000 + "CodeValue", "x")])


def test_too_many_values_are_refused():
    with pytest.raises(InvalidRequest, match="StudyInstanceUID"):
        parse_query("study", [("StudyInstanceUID", ",".join(f"1.{n}" for n in range(MAX_VALUES + 1)))])


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_keys_of_the_levels_above_are_usable(level):
    levels = ["study", "series", "instance"]
    for attribute in ATTRIBUTES.values():
        usable = levels.index(attribute.level) <= levels.index(level) or attribute.keyword == "Modality"
        if usable:
            parse_query(level, [(attribute.keyword, "")])
        else:
            with pytest.raises(InvalidRequest, match=attribute.keyword):
                parse_query(level, [(attribute.keyword, "1")])


@pytest.mark.parametrize("value", ["", "*"])
def test_universal_matching_filters_nothing_and_asks_for_the_attribute(value):
    query = parse_query("study", [("PatientAge", value), ("00081030", value), ("Rows", value)])
    assert query.conditions == ()
    assert query.include == ((0x00101010,), (0x00081030,), (0x00280010,))


def test_paging():
    query = parse_query("study", [("Limit", "20"), ("offset", "007")], max_results=10)
    assert (query.limit, query.offset, query.page) == (20, 7, 10)
    assert parse_query("study", []).page == 5000
    assert parse_query("study", [("offset", "9" * 40)]).offset == 2**62
    with pytest.raises(InvalidRequest, match="limit"):
        parse_query("study", [("limit", "1"), ("limit", "2")])


@pytest.mark.parametrize(
    ("args", "include", "everything"),
    [
        ([("includefield", "00081030,00080060")], ((0x00081030,), (0x00080060,)), False),
        ([("includeField", "StudyDescription"), ("includefield", "00081030")], ((0x00081030,),), False),
        ([("includefield", "all,StudyDescription")], ((0x00081030,),), True),
        ([("includefield", "ALL")], (), True),
        ([("includefield", "Nonsense,,00091001")], ((0x00091001,),), False),
        (
            [
                (
                    "includefield",
                    "RequestAttributesSequence.00400009,00400275.00400009, 00081115.00081199.00081150",
                )
            ],
            ((0x00400275, 0x00400009), (0x00081115, 0x00081199, 0x00081150)),
            False,
        ),
        ([("includefield", "RequestAttributesSequence.Nonsense,00400275.,.,all.00400009")], (), False),
        (
            [("00400275", "*"), ("includefield", "00400275.00400009")],
            ((0x00400275,), (0x00400275, 0x00400009)),
            False,
        ),
        ([("", ""), ("includefield", "")], (), False),
        ([("PatientID", "x"), ("includefield", "PatientID")], ((0x00100020,),), False),
    ],
)
def test_includefield(args, include, everything):
    query = parse_query("study", args)
    assert (query.include, query.include_all) == (include, everything)


def test_unknown_names_are_ignored_with_a_warning():
    query = parse_query(
        "study", [('foo\r\n"x', "1"), ("patientname", "Doe"), ("accept", "x"), ("charset", "y")]
    )
    assert query.conditions == ()
    assert query.warnings == (
        "The parameter foo???x is no DICOM attribute and was ignored.",
        "The parameter patientname is no DICOM attribute and was ignored.",
    )


def test_strict_queries_refuse_unknown_names():
    with pytest.raises(InvalidRequest, match="patientname"):
        parse_query("study", [("patientname", "Doe")], strict=True)
    assert parse_query("study", [("accept", "x"), ("", "y")], strict=True).warnings == ()


SWITCHES = ["fuzzymatching", "emptyvaluematching", "multiplevaluematching"]


@pytest.mark.parametrize("name", SWITCHES)
def test_all_ways_of_matching_are_supported_so_none_is_warned_about(name):
    plain = parse_query("study", [("PatientName", "Doe"), (name.upper(), "false")])
    assert plain.conditions == (named("doe"),)
    assert parse_query("study", [("PatientName", "Doe"), (name, "true")]).warnings == ()
    with pytest.raises(InvalidRequest, match=name):
        parse_query("study", [(name, "TRUE")])


def test_fuzzy_words():
    query = parse_query("study", [("fuzzymatching", "true"), ("PatientName", "Doe-MÜLLER^^")])
    words = NameWord(TextPattern("doe*", True)), NameWord(TextPattern("muller*", True))
    assert query.conditions == (NameWords(BY_KEYWORD["PatientName"], (words,)),)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Doe-MÜLLER^^", [("doe*", "T"), ("muller*", "MLR")]),
        ("*Doe*", [("*doe*", "T")]),
        ("do?e", [("do?e*", "")]),
        ("d*e", [("d*e*", "")]),
        ("Гусева 山", [("гусева*", ""), ("山*", "")]),
    ],
)
def test_fuzzy_words_with_their_sounds(value, words):
    pairs = [("fuzzymatching", "true"), ("PatientName", value)]
    made = tuple(NameWord(TextPattern(pattern, True), sound) for pattern, sound in words)
    [condition] = parse_query("study", pairs, phonetic=True).conditions
    assert condition.alternatives == (made,)
    [plain] = parse_query("study", [("PatientName", value)], phonetic=True).conditions
    assert isinstance(plain, NameIn)


@pytest.mark.parametrize("value", ["-", ",", "-*", " ".join(f"w{n}" for n in range(MAX_WORDS + 1))])
def test_names_without_words_or_with_too_many_are_refused(value):
    with pytest.raises(InvalidRequest, match="PatientName"):
        parse_query("study", [("fuzzymatching", "true"), ("PatientName", value)])


def test_orderby():
    order = parse_query("series", [("orderby", "-StudyDate,SeriesNumber"), ("orderby", "00100010")]).order
    assert [(key.attribute.keyword, key.descending) for key in order] == [
        ("StudyDate", True),
        ("SeriesNumber", False),
        ("PatientName", False),
    ]


def test_an_attribute_that_comes_again_in_orderby_changes_nothing():
    """Thousands of them are seconds of work."""
    order = parse_query(
        "study", [("orderby", "PatientName,-StudyDate," + "-PatientName,StudyDate," * 2000)]
    ).order
    assert [(key.attribute.keyword, key.descending) for key in order] == [
        ("PatientName", False),
        ("StudyDate", True),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [("PatientName", "a{}"), ("StudyDate", "20200101-"), ("StudyTime", "-10"), ("PatientID", "*{}*")],
)
def test_of_what_is_looked_at_one_by_one_a_search_has_no_thousands(key, value):
    pairs = [(key, value.format(number)) for number in range(MAX_PATTERNS + 1)]
    assert parse_query("study", pairs[1:]).conditions
    with pytest.raises(InvalidRequest, match=f"{key}: more than {MAX_PATTERNS} values"):
        parse_query("study", pairs)
    assert parse_query("study", [("PatientID", ",".join(str(number) for number in range(3000)))]).conditions


def test_random_query_strings_are_parsed_or_refused():
    chance = random.Random(3)
    keywords = (row.keyword for row in ATTRIBUTES.values())
    names = [*keywords, "limit", "orderby", "includefield", "00400275.00400009", "x"]
    pieces = [
        "*",
        "?",
        "-",
        ",",
        "\\",
        "^",
        "=",
        "1",
        "20240101",
        "1030",
        ".",
        "CT",
        "😀",
        " ",
        "+",
        "9" * 70,
    ]
    refused = []
    for _ in range(3000):
        pairs = [
            (chance.choice(names), "".join(chance.choices(pieces, k=chance.randint(0, 4)))) for _ in range(2)
        ]
        try:
            parse_query(chance.choice(["study", "series", "instance"]), pairs)
        except InvalidRequest as error:
            refused.append((str(error), pairs))
    assert 0 < len(refused) < 3000
    for message, pairs in refused:
        assert any(message.startswith(f"{name}: ") for name, _ in pairs)
