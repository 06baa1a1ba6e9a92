"""Studies and series that two patients share are never mixed."""

import pydicom

from dicomweb_gateway.index.indexer import index_image_set
from tests.index.documents import document, instance, simple
from tests.index.filled import ask


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
