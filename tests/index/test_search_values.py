"""Searches for no value, and for several values in one (dicomweb.md Q-25, Q-26)."""

import pytest

from dicomweb_gateway.errors import InvalidRequest
from tests.index.filled import ask, studies, uids


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
