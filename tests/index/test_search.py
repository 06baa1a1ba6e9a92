"""QIDO tables: pairs of a query string -> what an index of known documents answers."""

import itertools
import random
from zoneinfo import ZoneInfo

import pydicom
import pytest

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance, simple
from tests.index.searching import search

BERLIN = ZoneInfo("Europe/Berlin")

STUDIES = {
    # study: patient, study, [(modality, series tags)]
    "1.1": (
        {"PatientID": "A1", "PatientName": "Doe^John^^Dr", "PatientSex": "M", "PatientBirthDate": "19700131"},
        {
            "StudyDate": "20240101",
            "StudyTime": "103000",
            "AccessionNumber": "ACC-1",
            "StudyDescription": "CT chest",
        },
        [("CT", {"SeriesNumber": "2"}), ("SR", {"SeriesNumber": "10"})],
    ),
    "1.2": (
        {"PatientID": "a1", "PatientName": "Doe", "PatientSex": "F"},
        {"StudyDate": "20240102", "StudyTime": "103059.999999", "StudyDescription": "100% x_y [z] A!B\\C"},
        [("MR", {"SeriesNumber": None}), ("MR", {"SeriesNumber": "007"})],
    ),
    "1.3": (
        {"PatientID": "C", "PatientName": "Гусева^Анна", "IssuerOfPatientID": "HOSP"},
        {"StudyDate": "20240301", "StudyTime": "10", "ReferringPhysicianName": "MÜLLER^Ärzt"},
        [("MR", {"BodyPartExamined": "HEAD"}), ("PT", {"SeriesDate": "20240301", "SeriesTime": "0900"})],
    ),
    "1.4": (
        {"PatientID": "D,E", "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"StudyDate": None, "StudyDescription": "Chest, PA \U0001f600"},
        [("CR", {"Manufacturer": "ACME"})],
    ),
    "1.5": (
        {"PatientID": None, "PatientName": None},
        {"StudyDate": "20231231", "StudyTime": "235959"},
        [("US", {"PerformedProcedureStepStartDate": "20231230", "PerformedProcedureStepStartTime": "0800"})],
    ),
}
REQUESTS = [
    {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R1"},
    {"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "R2"},
]


@pytest.fixture(scope="module")
def filled(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    for study_uid, (patient, study, series) in STUDIES.items():
        for number, (modality, tags) in enumerate(series, 1):
            uid = f"{study_uid}.{number}"
            if uid == "1.1.1":
                tags = {**tags, "RequestAttributesSequence": REQUESTS}
            made = {
                f"{uid}.{n}": instance(
                    f"{uid}.{n}", frames=n if modality == "US" else 1, InstanceNumber=str(12 - n)
                )
                for n in (1, 2, 3)
            }
            one = document(
                study_uid,
                {uid: made},
                name=uid,
                patient=patient,
                study=study,
                series_tags={"Modality": modality, **tags},
            )
            index_image_set(engine, one, version=1, is_primary=True)
    yield engine
    engine.dispose()


def ask(engine, level, *pairs, **scope):
    return search(engine, parse_query(level, pairs, **scope))


def uids(result, level):
    key = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    return [row[key]["Value"][0] for row in result.rows]


def studies(engine, *pairs):
    return " ".join(sorted(uid[2:] for uid in uids(ask(engine, "study", *pairs), "study")))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PatientID", "A1", "1"),
        ("00100020", "a1", "2"),
        ("PatientID", " A1 ", "1"),
        ("PatientID", "?1", "1 2"),
        ("PatientID", "A1,C", "1 3"),
        ("PatientID", "A1\\C", "1 3"),
        ("PatientID", "D,E", "4"),
        ("PatientID", "*", "1 2 3 4 5"),
        ("PatientID", "", "1 2 3 4 5"),
        ("PatientID", "?*", "1 2 3 4"),
        ("PatientID", "NO_PID", ""),
        ("PatientID", "' OR 1=1 --", ""),
        ("IssuerOfPatientID", "HOSP", "3"),
        ("PatientName", "doe", "2"),
        ("PatientName", "DOE^", "2"),
        ("PatientName", "Doe^John", ""),
        ("PatientName", "doe^john^^dr", "1"),
        ("PatientName", "doe*", "1 2"),
        ("PatientName", "*john*", "1"),
        ("PatientName", "d?e", "2"),
        ("PatientName", "гусева*", "3"),
        ("PatientName", "ГУСЕВА^АННА", "3"),
        ("PatientName", "гусев", ""),
        ("PatientName", "山田*", "4"),
        ("PatientName", "山田^太郎", "4"),
        ("PatientName", "やまだ^?ろう", "4"),
        ("PatientName", "yamada*=山田*", "4"),
        ("PatientName", "yamada*=yamada*", ""),
        ("PatientName", "%", ""),
        ("PatientName", "%*", ""),
        ("ReferringPhysicianName", "müller^ä*", "3"),
        ("ReferringPhysicianName", "muller^arzt", ""),
        ("PatientSex", "M,F", "1 2"),
        ("PatientBirthDate", "19700131", "1"),
        ("PatientBirthDate", "-19991231", "1"),
        ("AccessionNumber", "ACC-?", "1"),
        ("AccessionNumber", "ACC_1", ""),
        ("AccessionNumber", "acc-1", ""),
        ("StudyDescription", "ct*", ""),
        ("StudyDescription", "CT*", "1"),
        ("StudyDescription", "*%*", "2"),
        ("StudyDescription", "*_y*", "2"),
        ("StudyDescription", "*[z]*", "2"),
        ("StudyDescription", "*A!B*", "2"),
        ("StudyDescription", "100_*", ""),
        ("StudyDescription", "*\U0001f600", "4"),
        ("StudyDescription", "Chest, PA ?", "4"),
        ("StudyDate", "20240101", "1"),
        ("StudyDate", "20240101-20240102", "1 2"),
        ("StudyDate", "20240102-", "2 3"),
        ("StudyDate", "-20240101", "1 5"),
        ("StudyDate", "", "1 2 3 4 5"),
        ("StudyTime", "1030", "1 2"),
        ("StudyTime", "103000", "1"),
        ("StudyTime", "103059.999999", "2"),
        ("StudyTime", "10", "1 2 3"),
        ("StudyTime", "1031-", "5"),
        ("StudyTime", "-1000", "3"),
        ("StudyInstanceUID", "1.1,1.3,9.9", "1 3"),
        ("StudyInstanceUID", ",".join(f"1.{n}" for n in range(3, 603)), "3 4 5"),
        ("ModalitiesInStudy", "MR", "2 3"),
        ("Modality", "MR", "2 3"),
        ("ModalitiesInStudy", "CT,PT", "1 3"),
        ("ModalitiesInStudy", "?R", "1 2 3 4"),
        ("ModalitiesInStudy", "CT/SR", ""),
        ("ModalitiesInStudy", "mr", ""),
        ("NumberOfStudyRelatedInstances", "6", "1 2 3"),
        ("limit", "0", ""),
        ("unknown", "x", "1 2 3 4 5"),
    ],
)
def test_a_study_key(filled, name, value, found):
    assert studies(filled, (name, value)) == found


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("StudyDate", "20240101"), ("StudyDate", "20240301-")], "1 3"),
        ([("PatientID", "A1"), ("PatientID", "C")], "1 3"),
        ([("PatientID", "A1"), ("PatientName", "doe")], ""),
        ([("ModalitiesInStudy", "MR"), ("StudyDate", "20240301")], "3"),
        ([("StudyDate", "20240101-20240102"), ("StudyTime", "103059.999999")], "2"),
        ([("PatientName", "doe"), ("PatientName", "гусева*")], "2 3"),
    ],
)
def test_keys_together(filled, pairs, found):
    assert studies(filled, *pairs) == found


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PatientName", "joh", "1"),
        ("PatientName", "ohn", ""),
        ("PatientName", "*ohn", "1"),
        ("PatientName", "john doe", "1"),
        ("PatientName", "DOE,j", "1"),
        ("PatientName", "Doe", "1 2"),
        ("PatientName", "doe^jane", ""),
        ("PatientName", "doe*", "1 2"),
        ("PatientName", "j?hn", "1"),
        ("PatientName", "dr doe", "1"),
        ("PatientName", "ГУСЕВА", "3"),
        ("PatientName", "анна гус", "3"),
        ("PatientName", "太 やま", "4"),
        ("PatientName", "yamada=tarou", "4"),
        ("PatientName", "やまた", ""),
        ("PatientName", "", "1 2 3 4 5"),
        ("PatientName", "*", "1 2 3 4 5"),
        ("PatientName", "%", ""),
        ("PatientName", "_oe", ""),
        ("PatientName", '""', ""),
        ("ReferringPhysicianName", "muller", "3"),
        ("ReferringPhysicianName", "MÜLLER", "3"),
        ("ReferringPhysicianName", "arzt^mull", "3"),
        ("PatientID", "A", ""),
        ("StudyDescription", "CT", ""),
    ],
)
def test_fuzzy_matching(filled, name, value, found):
    """dicomweb.md Q-27; other keys than names are matched as ever."""
    assert studies(filled, ("fuzzymatching", "true"), (name, value)) == found


@pytest.fixture(scope="module")
def sounding(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    names = ["Meyer^Catherine", "Schmidt^Jörg", "O'Brien^Stephen", "Гусева^Анна", "X1^MR1"]
    for number, name in enumerate(names, 1):
        study = {"ReferringPhysicianName": "Fischer^Thomas"} if number == 1 else {}
        one = simple(f"1.{number}", name, patient={"PatientName": name}, study=study)
        index_image_set(engine, one, version=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "value", "found", "plain"),
    [
        ("PatientName", "Maier", "1", ""),
        ("PatientName", "*mayer*", "1", ""),
        ("PatientName", "kathryn meier", "1", ""),
        ("PatientName", "schmitt", "2", ""),
        ("PatientName", "Schmitt^Jo", "2", ""),
        ("PatientName", "smith", "", ""),
        ("PatientName", "obrian", "3", ""),
        ("PatientName", "steven o", "3", ""),
        ("PatientName", "may", "", ""),
        ("PatientName", "mey", "1", "1"),
        ("PatientName", "mr", "1 5", "5"),
        ("PatientName", "x", "5", "5"),
        ("PatientName", "гусев", "4", "4"),
        ("PatientName", "гусива", "", ""),
        ("PatientName", "ma?er", "", ""),
        ("PatientName", "???", "1 2 3 4 5", "1 2 3 4 5"),
        ("PatientName", "?r?", "5", "5"),
        ("PatientName", "fischer", "", ""),
        ("ReferringPhysicianName", "fisher tomas", "1", ""),
        ("PatientName", '""', "", ""),
        ("PatientName", "", "1 2 3 4 5", "1 2 3 4 5"),
    ],
)
def test_fuzzy_matching_by_sound(sounding, name, value, found, plain):
    """dicomweb.md Q-27: as ever, or by the sound of a whole word, where the server says so."""
    pairs = [("fuzzymatching", "true"), (name, value)]
    assert studies(sounding, *pairs) == plain
    result = search(sounding, parse_query("study", pairs, phonetic=True))
    assert " ".join(uid[2:] for uid in sorted(uids(result, "study"))) == found
    unfuzzy = search(sounding, parse_query("study", pairs[1:], phonetic=True)).rows
    assert unfuzzy == search(sounding, parse_query("study", pairs[1:])).rows


def test_repeated_names_are_alternatives_in_fuzzy_matching_too(filled):
    names = [("PatientName", "john"), ("PatientName", "tarou")]
    assert studies(filled, ("fuzzymatching", "true"), *names) == "1 4"
    assert studies(filled, ("fuzzymatching", "false"), *names) == ""


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("PatientID", ['""'], "5"),
        ("PatientID", ['""', "A1"], "1 5"),
        ("PatientName", ['""'], "5"),
        ("PatientName", ['""', "doe"], "2 5"),
        ("PatientBirthDate", ['""'], "2 3 4 5"),
        ("StudyDate", ['""'], "4"),
        ("StudyDate", ['""', "-20240101"], "1 4 5"),
        ("StudyTime", ['""'], "4"),
        ("StudyInstanceUID", ['""'], ""),
        ("ModalitiesInStudy", ['""'], ""),
        ("AccessionNumber", ['""'], "2 3 4 5"),
        ("AccessionNumber", [""], "1 2 3 4 5"),
    ],
)
def test_empty_value_matching(filled, name, values, found):
    """dicomweb.md Q-25; without the parameter two quotation marks are text like any other."""
    pairs = [(name, value) for value in values]
    assert studies(filled, ("emptyvaluematching", "true"), *pairs) == found


def test_two_quotation_marks_are_text_unless_asked_otherwise(filled):
    assert studies(filled, ("PatientID", '""')) == ""
    with pytest.raises(InvalidRequest, match="StudyDate"):
        studies(filled, ("StudyDate", '""'))


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("00400275.00400009", '""')], "1.1.2 1.2.1 1.2.2 1.3.1 1.3.2 1.4.1 1.5.1"),
        ([("00400275.00400009", '""'), ("00400275.00401001", "R1")], ""),
        ([("00400275.00400009", '""'), ("00400275.00400009", "S2"), ("00400275.00401001", "R2")], "1.1.1"),
        ([("SeriesNumber", '""')], "1.2.1 1.3.1 1.3.2 1.4.1 1.5.1"),
        ([("SeriesNumber", '""'), ("SeriesNumber", "7")], "1.2.1 1.2.2 1.3.1 1.3.2 1.4.1 1.5.1"),
        ([("BodyPartExamined", '""'), ("StudyInstanceUID", "1.3")], "1.3.2"),
    ],
)
def test_empty_values_of_series(filled, pairs, found):
    result = ask(filled, "series", ("emptyvaluematching", "true"), *pairs)
    assert " ".join(sorted(uids(result, "series"))) == found


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PatientName", "doe\\*^анна", "2 3"),
        ("StudyDate", "20240101\\20240301-", "1 3"),
        ("PatientID", "A1\\a1", "1 2"),
        ("PatientID", "A1\\", "1"),
        ("PatientID", "\\", "1 2 3 4 5"),
        ("NumberOfStudyRelatedInstances", "6\\3", "1 2 3 4 5"),
        ("StudyTime", "235959\\10-1030", "1 2 3 5"),
    ],
)
def test_multiple_value_matching(filled, name, value, found):
    assert studies(filled, ("multiplevaluematching", "true"), (name, value)) == found


MOMENTS = {
    "1": ("20240101103000", "+0100"),
    "2": ("20240101103000.5-0500", None),
    "3": ("2024", None),
    "4": ("20231231233000", "-0100"),
    "5": ("nonsense", None),
    "6": (None, "+0100"),
}


@pytest.fixture(scope="module")
def moments(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    made = {
        f"1.2.1.{key}": instance(f"1.2.1.{key}", AcquisitionDateTime=moment, TimezoneOffsetFromUTC=zone)
        for key, (moment, zone) in MOMENTS.items()
    }
    index_image_set(engine, document("1.2", {"1.2.1": made}), version=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("20240101093000", "1"),
        ("20240101103000+0100", "1"),
        ("20240101103000 0100", "1"),
        ("2024010109", "1"),
        ("202401011530", "2"),
        ("20240101153000.4", ""),
        ("20240101153000.5", "2"),
        ("20240101", "1 2 3 4"),
        ("2024", "1 2 3 4"),
        ("2024-2025", "1 2 3 4"),
        ("20240101-0100", "1 2"),
        ("-20240101002959", "3"),
        ("-2023", ""),
        ("2025-", ""),
        ("20240101013000+0100-20240101103000+0100", "1 4"),
        ("20240101003000-20240101003000", "4"),
        ("*", "1 2 3 4 5 6"),
        ("", "1 2 3 4 5 6"),
    ],
)
def test_moments(moments, value, found):
    """dicomweb.md Q-20: compared in UTC, values without offset in the zone of their instance."""
    result = ask(moments, "instance", ("AcquisitionDateTime", value))
    assert " ".join(uid[6:] for uid in sorted(uids(result, "instance"))) == found


@pytest.fixture(scope="module")
def zoned(new_index_url):
    url = new_index_url()
    upgrade(url)
    writer = IndexWriter(url, BERLIN)
    made = {
        f"1.2.1.{key}": instance(f"1.2.1.{key}", AcquisitionDateTime=moment, TimezoneOffsetFromUTC=zone)
        for key, (moment, zone) in {**MOMENTS, "7": ("20240701103000", None)}.items()
    }
    writer.put(document("1.2", {"1.2.1": made}), version=1, is_primary=True, updated_at=None)
    yield make_engine(url)
    writer.close()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("20240101103000", "1"),
        ("20240701103000", "7"),
        ("20240701083000+0000", "7"),
        ("2024010110", "1"),
        ("202401011630", "2"),
        ("20231231230000+0000", "3"),
        ("20240101", "1 2 3 4"),
        ("20240101-0100", "1 2"),
        ("20240701-20240701", "7"),
    ],
)
def test_moments_in_a_configured_zone(zoned, value, found):
    """dicomweb.md Q-20: of values without offset, in queries and in data without an offset of its own."""
    result = search(zoned, parse_query("instance", [("AcquisitionDateTime", value)], zone=BERLIN))
    assert " ".join(uid[6:] for uid in sorted(uids(result, "instance"))) == found


@pytest.mark.parametrize(
    "value", ["2024*", "-", "2025-2024", "20241301", "20240101-x", "0001+1400", "2024-"[:3]]
)
def test_moments_that_are_none(moments, value):
    with pytest.raises(InvalidRequest, match="AcquisitionDateTime"):
        ask(moments, "instance", ("AcquisitionDateTime", value))


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("Modality", "MR")], "1.2.1 1.2.2 1.3.1"),
        ([("SeriesNumber", "7")], "1.2.2"),
        ([("SeriesNumber", "+0002")], "1.1.1"),
        ([("BodyPartExamined", "HEAD")], "1.3.1"),
        ([("Manufacturer", "AC*")], "1.4.1"),
        ([("SeriesDate", "20240301"), ("SeriesTime", "09")], "1.3.2"),
        ([("PerformedProcedureStepStartDate", "-20231230"), ("00400245", "0800-0801")], "1.5.1"),
        ([("PatientID", "A1")], "1.1.1 1.1.2"),
        ([("ModalitiesInStudy", "PT")], "1.3.1 1.3.2"),
        ([("ModalitiesInStudy", "PT"), ("Modality", "MR")], "1.3.1"),
        ([("00400275.00400009", "S1")], "1.1.1"),
        ([("00400275.00400009", "S1"), ("00400275.00401001", "R1")], "1.1.1"),
        ([("00400275.00400009", "S1"), ("00400275.00401001", "R2")], ""),
        ([("00400275.00400009", "S?")], "1.1.1"),
        ([("SeriesInstanceUID", "1.1.2")], "1.1.2"),
        ([("SeriesInstanceUID", "1.1.2"), ("StudyInstanceUID", "1.2")], ""),
    ],
)
def test_series_keys(filled, pairs, found):
    assert " ".join(sorted(uids(ask(filled, "series", *pairs), "series"))) == found


@pytest.mark.parametrize(
    ("pairs", "scope", "found"),
    [
        ([("SOPInstanceUID", "1.1.1.2")], {}, "1.1.1.2"),
        ([("InstanceNumber", "011"), ("Modality", "US")], {}, "1.5.1.1"),
        ([("Rows", "8"), ("PatientID", "D,E")], {}, "1.4.1.1 1.4.1.2 1.4.1.3"),
        ([("Columns", "9")], {}, ""),
        ([("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")], {"study_uid": "1.5"}, "1.5.1.1 1.5.1.2 1.5.1.3"),
        ([("InstanceNumber", "9")], {"study_uid": "1.1", "series_uid": "1.1.2"}, "1.1.2.3"),
        ([], {"study_uid": "1.2", "series_uid": "1.1.2"}, ""),
        ([], {"study_uid": "9"}, ""),
    ],
)
def test_instance_keys(filled, pairs, scope, found):
    assert " ".join(sorted(uids(ask(filled, "instance", *pairs, **scope), "instance"))) == found


def test_default_orders(filled):
    assert uids(ask(filled, "study"), "study") == ["1.3", "1.2", "1.1", "1.5", "1.4"]
    assert uids(ask(filled, "series", study_uid="1.2"), "series") == ["1.2.2", "1.2.1"]
    assert uids(ask(filled, "instance", study_uid="1.1", series_uid="1.1.1"), "instance") == [
        "1.1.1.3",
        "1.1.1.2",
        "1.1.1.1",
    ]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("StudyDate", ["1.4", "1.5", "1.1", "1.2", "1.3"]),
        ("-StudyInstanceUID", ["1.5", "1.4", "1.3", "1.2", "1.1"]),
        ("PatientName", ["1.5", "1.2", "1.1", "1.4", "1.3"]),
        ("-NumberOfStudyRelatedSeries,StudyInstanceUID", ["1.1", "1.2", "1.3", "1.4", "1.5"]),
    ],
)
def test_orderby(filled, order, found):
    assert uids(ask(filled, "study", ("orderby", order)), "study") == found


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_pages_join_to_the_whole(filled, level):
    whole = uids(ask(filled, level), level)
    pages = (
        uids(ask(filled, level, ("limit", "2"), ("offset", str(offset))), level)
        for offset in itertools.count(0, 2)
    )
    assert list(itertools.chain.from_iterable(itertools.takewhile(bool, pages))) == whole
    assert ask(filled, level, ("offset", "9" * 30)).rows == []


@pytest.mark.parametrize(
    ("pairs", "cap", "rows", "total", "remaining"),
    [
        ([], 5000, 5, 5, 0),
        ([], 2, 2, 5, 3),
        ([("offset", "1")], 2, 2, 5, 2),
        ([("limit", "100")], 4, 4, 5, 1),
        ([("limit", "2")], 4, 2, None, 0),
        ([("limit", "2"), ("totalcount", "true")], 4, 2, 5, 3),
        ([("limit", "0"), ("totalcount", "true")], 4, 0, 5, 5),
        ([("limit", "2"), ("offset", "8"), ("totalcount", "true")], 4, 0, 5, 0),
        ([("offset", "9")], 4, 0, None, 0),
        ([("ModalitiesInStudy", "MR")], 1, 1, 2, 1),
    ],
)
def test_totals_and_the_cap(filled, pairs, cap, rows, total, remaining):
    result = ask(filled, "study", *pairs, max_results=cap)
    assert (len(result.rows), result.total, result.remaining) == (rows, total, remaining)
    text = f"There are {remaining} additional results that can be requested"
    assert result.warnings == ((text,) if remaining else ())


def test_warnings_of_the_parser_follow_that_of_the_cap(filled):
    result = ask(filled, "study", ("NoSuchKey", "x"), max_results=4)
    assert result.warnings == (
        "There are 1 additional results that can be requested",
        "The parameter NoSuchKey is no DICOM attribute and was ignored.",
    )


@pytest.mark.parametrize(("pairs", "cap"), [([], 5), ([("limit", "4")], 4), ([("PatientID", "A1")], 1)])
def test_a_hard_cap_lets_pass_what_is_below_it_or_asks_for_pages(filled, pairs, cap):
    assert ask(filled, "study", *pairs, hard_max_results=cap).rows


def test_a_hard_cap_refuses_what_is_above_it(filled):
    with pytest.raises(PayloadTooLarge, match="narrow"):
        ask(filled, "study", hard_max_results=4)


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


def test_two_patients_under_one_study_are_never_mixed(engine):
    """The study speaks for the primary's patient; what is the other's is found and shown as the other's."""
    other = {"PatientID": "P2", "PatientName": "Roe^Jane"}
    first = simple("1.2", "first")
    second = document("1.2", {"1.2.2": {"1.2.2.1": instance("1.2.2.1")}}, name="second", patient=other)
    index_image_set(engine, second, version=1, is_primary=False)
    index_image_set(engine, first, version=1, is_primary=True)
    (study,) = ask(engine, "study").rows
    assert study["00100020"]["Value"] == ["P1"]
    assert study["00201206"]["Value"] == [2]
    assert ask(engine, "study", ("PatientID", "P2")).rows == []
    assert ask(engine, "study", ("PatientName", "Roe*")).rows == []
    for level in ("series", "instance"):
        for patient, uid in (("P1", "1.2.1"), ("P2", "1.2.2")):
            (row,) = ask(engine, level, ("PatientID", patient)).rows
            assert row["00100020"]["Value"] == [patient]
            assert row["0020000E"]["Value"] == [uid]
    assert len(ask(engine, "series", study_uid="1.2").rows) == 2
    below = ask(engine, "instance", ("includefield", "PatientID"), study_uid="1.2", series_uid="1.2.2").rows
    assert [row["00100020"]["Value"] for row in below] == [["P2"]]


def test_one_series_under_two_patients_is_reported_once(engine):
    other = {"PatientID": "P2", "PatientName": "Roe^Jane"}
    index_image_set(engine, simple("1.2", "second", 3, patient=other), version=1)
    index_image_set(engine, simple("1.2", "first", 2), version=1, is_primary=True)
    (series,) = ask(engine, "series").rows
    assert (series["00100020"]["Value"], series["00201209"]["Value"]) == (["P1"], [3])
    patients = [row["00100020"]["Value"][0] for row in ask(engine, "instance").rows]
    assert patients == ["P1", "P1", "P2"]


def test_the_second_patients_file_of_the_corpus(engine, corpus):
    """Two files with one Study Instance UID and different patients, put as image sets as AHI does."""
    for number in (1, 2):
        header = pydicom.dcmread(corpus / "multi-study" / f"same-study-different-patient-{number}.dcm")
        made = document(
            str(header.StudyInstanceUID),
            {
                str(header.SeriesInstanceUID): {
                    str(header.SOPInstanceUID): instance(str(header.SOPInstanceUID))
                }
            },
            name=str(number),
            patient={"PatientID": header.PatientID, "PatientName": str(header.PatientName)},
        )
        index_image_set(engine, made, version=1, is_primary=number == 1)
        (row,) = ask(engine, "instance", ("SOPInstanceUID", str(header.SOPInstanceUID))).rows
        assert row["00100020"].get("Value", [""])[0] == header.PatientID
    assert len(ask(engine, "study").rows) == 1
    assert len(ask(engine, "instance").rows) == 2


def test_hostile_values_never_widen_an_answer(filled):
    pieces = [
        "%",
        "_",
        "!",
        "'",
        '"',
        "\\",
        ";",
        "--",
        "/*",
        ")",
        "\U0001f600",
        "\u202e",
        "x",
        "[a-z]",
        "\r\n",
        "x" * 900,
    ]
    generator = random.Random(1)
    for _ in range(300):
        value = "".join(generator.sample(pieces, 3))
        for name in ("PatientID", "StudyDescription", "PatientName", "AccessionNumber", "ModalitiesInStudy"):
            assert ask(filled, "study", (name, value)).rows == []
