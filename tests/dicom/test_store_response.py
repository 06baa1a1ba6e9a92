"""The Store Instances Response, written and read back."""

import pytest
from pydicom import Dataset

from dicomweb_gateway.dicom.store_response import (
    CLASH,
    NOT_UNDERSTOOD,
    Outcome,
    read_response,
    status_of,
    store_response,
)

STORED = Outcome("1.2.3", "1.9.1", study_uid="1.7", series_uid="1.8")
WARNED = Outcome("1.2.3", "1.9.2", study_uid="1.7", series_uid="1.8", warning=0xB000)
CLASHED = Outcome("1.2.3", "1.9.3", CLASH, "the study is that of another patient")
BROKEN = Outcome(failure=NOT_UNDERSTOOD, reason="no DICOM " + "x" * 100)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([STORED], 200),
        ([STORED, STORED], 200),
        ([STORED, WARNED], 202),
        ([STORED, CLASHED], 202),
        ([CLASHED, BROKEN], 409),
        ([BROKEN], 409),
    ],
)
def test_status(outcomes, status):
    assert status_of(outcomes) == status


def test_the_response_is_a_data_set():
    found = Dataset.from_json(store_response([STORED, WARNED, CLASHED, BROKEN], "http://h/a"))
    assert found.RetrieveURL == "http://h/a/studies/1.7"
    assert [item.ReferencedSOPInstanceUID for item in found.ReferencedSOPSequence] == ["1.9.1", "1.9.2"]
    assert found.ReferencedSOPSequence[0].RetrieveURL == "http://h/a/studies/1.7/series/1.8/instances/1.9.1"
    assert found.ReferencedSOPSequence[1].WarningReason == 0xB000
    [failed] = found.FailedSOPSequence
    assert (failed.ReferencedSOPClassUID, failed.FailureReason) == ("1.2.3", CLASH)
    [other] = found.OtherFailuresSequence
    assert other.FailureReason == NOT_UNDERSTOOD
    assert len(other.FailedAttributesSequence[0][0x00000902].value) == 64


def test_it_is_read_back():
    read = read_response(store_response([STORED, WARNED, CLASHED, BROKEN], "http://h/a"))
    assert [(one.instance_uid, one.failure, one.warning) for one in read] == [
        ("1.9.1", None, None),
        ("1.9.2", None, 0xB000),
        ("1.9.3", CLASH, None),
        ("", NOT_UNDERSTOOD, None),
    ]
    assert read[2].reason == CLASHED.reason
    assert read_response([store_response([STORED], "")]) == read_response(store_response([STORED], ""))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        [{}, {}],
        {"00081199": {"Value": ["x"]}},
        {"00081199": ["x"]},
        {"00081199": {"Value": [{"00081155": "1.2"}]}},
    ],
)
def test_what_is_none_is_refused(document):
    with pytest.raises(ValueError, match="no Store Instances Response"):
        read_response(document)
