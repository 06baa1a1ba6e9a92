"""Documents cut into head and instances: every way to write them, and what is none (healthimaging.md 2.1)."""

import json

import orjson
import pytest

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.split_document import split_document


def raw(*series):
    return {
        "DatastoreID": "d",
        "ImageSetID": "i",
        "Patient": {"DICOM": {"PatientID": 'a } , "1.2" : { b'}},
        "Study": {"DICOM": {"StudyInstanceUID": "1"}, "Series": dict(series)},
    }


def series(uid, *instances):
    return uid, {"DICOM": {"Modality": "CT"}, "Instances": dict(instances)}


NESTED = {
    "DICOM": {"00091001": {"1": {}}, "00091002": {"0.1": 'x"}, "1.9": {', "1.4": {}}, "A": [{}, {"b": "}"}]}
}
PLAIN = {"DICOM": {"InstanceNumber": "1"}, "DICOMVRs": {}, "ImageFrames": [{"ID": "f"}]}

DOCUMENTS = [
    raw(series("1.1", ("1.1.1", PLAIN))),
    raw(series("1.1", ("1.1.1", PLAIN), ("1.1.2", NESTED), ("1.1.3", {}))),
    raw(
        series("1.1", ("1.1.1", NESTED), ("1.1.2", NESTED)),
        series("1.2", ("1.2.1", NESTED), ("1.2.2", PLAIN)),
    ),
    raw(series("1.1"), series("1.2", ("1.2.1", PLAIN))),
    raw(series("1.1", ("odd uid", PLAIN), ("1.1.2", {"Instances": {"1.5": {}}}))),
    raw(series("1.1", ("1.1.1", {"Instances": {"1.5": {}}}), ("1.1.2", PLAIN))),
    raw(),
]


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(
    "write",
    [orjson.dumps, lambda made: json.dumps(made, indent=3).encode(), lambda made: json.dumps(made).encode()],
)
def test_instances_are_found_whole_and_in_order(document, write):
    found = parse_document(write(document))
    expected = document["Study"]["Series"]
    for one in found.series():
        instances = expected[one.series_uid]["Instances"]
        assert list(one.raw_instances) == list(instances)
        assert {uid: one.raw_instances[uid] for uid in one.raw_instances} == instances
        assert ("9.9" in one.raw_instances) is False
    assert [one.series_uid for one in found.series()] == list(expected)


def test_the_head_holds_no_instance():
    split = split_document(orjson.dumps(DOCUMENTS[2]))
    assert b"InstanceNumber" not in split.skeleton


def test_real_documents_are_cut_without_parsing_them_whole(ahi_documents):
    for path in ahi_documents.glob("*metadata*.json"):
        text = path.read_bytes()
        # the fallback writes a text of its own
        assert split_document(text).text is text


def test_of_an_instance_that_stands_twice_the_last_counts():
    text = orjson.dumps(DOCUMENTS[1]).replace(b"1.1.3", b"1.1.1")
    (one,) = parse_document(text).series()
    assert dict(one.raw_instances) == {"1.1.1": {}, "1.1.2": NESTED}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + b"}",
        lambda text: text.replace(b'"InstanceNumber":"1"', b'"InstanceNumber":01', 1),
        lambda text: text.replace(b'"InstanceNumber":"1"', b'"InstanceNumber":"1', 1),
        lambda text: text.replace(b'"1.1.3":{}', b'"1.1.3":0'),
        lambda text: text.replace(b'"1.1.3":{}', b'"1.1.3":2'),
        lambda text: text.replace(b'"1.1.3":{}', b'"1.1.3":null'),
        lambda text: text.replace(b'"1.1.3":{}', b'"1.1.3":[]'),
        lambda text: b"[]",
        lambda text: b"",
        lambda text: b'{"Study":{"Series":[]}}',
        lambda text: b'{"Study":{"Series":{"1":{"Instances":[1]}}}}',
    ],
)
def test_a_document_with_one_malformed_instance_is_refused(spoil):
    with pytest.raises(UpstreamFailed):
        parse_document(spoil(orjson.dumps(DOCUMENTS[1])))
