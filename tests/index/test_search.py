"""QIDO tables: pairs of a query string -> what an index of known documents answers."""

import itertools
import random

import pytest

from dicomweb_gateway.errors import PayloadTooLarge
from tests.index.filled import ask, studies, uids


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
