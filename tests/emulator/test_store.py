"""StoreDICOM of the emulator: stored and searchable when it answers (healthimaging.md 5)."""

from io import BytesIO

import pytest
import requests
from pydicom import Dataset

from dicomweb_gateway.emulator.signatures import Secret
from tests.emulator.files import ROOT, ct_slice
from tests.emulator.running import PATIENCE, instances_of, running

DICOM = 'multipart/related; type="application/dicom"; boundary=edge'


def part10(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def framed(*contents: bytes) -> bytes:
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + content + b"\r\n" for content in contents) + b"--edge--\r\n"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("storing"), workers=1) as one:
        yield one


def store(emulator, datastore_id: str, *contents: bytes, study: str = "", **headers: str):
    return requests.post(
        f"{emulator.url}/datastore/{datastore_id}/studies{study}",
        data=framed(*contents),
        headers={"Content-Type": DICOM, **headers},
        timeout=PATIENCE,
    )


def test_what_is_stored_is_there_when_it_is_answered(emulator):
    datastore_id = emulator.datastore()
    answer = store(emulator, datastore_id, *(part10(ct_slice(n)) for n in (1, 2)))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/dicom+json"
    found = Dataset.from_json(answer.json())
    assert [one.ReferencedSOPInstanceUID for one in found.ReferencedSOPSequence] == [
        f"{ROOT}.1.1.1",
        f"{ROOT}.1.1.2",
    ]
    [image_set] = emulator.image_sets(datastore_id)
    document = emulator.document(datastore_id, image_set["imageSetId"])
    assert len(instances_of(document)) == 2
    again = store(emulator, datastore_id, part10(ct_slice(1)), part10(ct_slice(3)))
    assert again.status_code == 200
    [image_set] = emulator.image_sets(datastore_id)
    assert image_set["version"] == 2
    assert len(instances_of(emulator.document(datastore_id, image_set["imageSetId"]))) == 3
    assert not list((emulator.folder / "store" / "incoming").iterdir())


def test_conflicting_patients_go_to_an_image_set_that_is_not_primary(emulator):
    datastore_id = emulator.datastore()
    store(emulator, datastore_id, part10(ct_slice(1)))
    assert store(emulator, datastore_id, part10(ct_slice(2, PatientID="P-2"))).status_code == 200
    assert sorted(one["isPrimary"] for one in emulator.image_sets(datastore_id)) == [False, True]


def test_some_or_all_may_fail(emulator):
    datastore_id = emulator.datastore()
    some = store(emulator, datastore_id, part10(ct_slice(1)), b"no DICOM", part10(ct_slice(2)))
    assert some.status_code == 202
    found = Dataset.from_json(some.json())
    assert len(found.ReferencedSOPSequence) == 2
    assert len(found.OtherFailuresSequence) == 1
    elsewhere = store(emulator, datastore_id, part10(ct_slice(1)), study="/1.2.3")
    assert elsewhere.status_code == 409
    assert Dataset.from_json(elsewhere.json()).FailedSOPSequence[0].FailureReason == 0xA900
    cut = store(emulator, datastore_id, part10(ct_slice(9))[:-100])
    assert cut.status_code == 409
    assert "FailedSOPSequence" in Dataset.from_json(cut.json())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (framed(b"x")[:-6], {}, 400),
        (b"", {}, 400),
        (b"--edge--", {}, 400),
        (framed(b"x"), {"Content-Type": "application/dicom"}, 415),
        (
            framed(b"x"),
            {"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=edge'},
            415,
        ),
        (framed(b"x"), {"Content-Type": 'multipart/related; type="application/dicom"'}, 400),
    ],
)
def test_bodies_that_cannot_be_read(emulator, body, headers, status):
    url = f"{emulator.url}/datastore/{emulator.datastore()}/studies"
    answer = requests.post(url, data=body, headers={"Content-Type": DICOM, **headers}, timeout=PATIENCE)
    assert answer.status_code == status
    assert answer.headers["x-amzn-ErrorType"]


def test_an_unknown_data_store_and_a_study_that_is_no_uid(emulator):
    assert store(emulator, "a" * 32, b"x").status_code == 404
    assert store(emulator, emulator.datastore(), b"x", study="/no-uid").status_code == 400


def test_signatures_cover_the_body(tmp_path):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    with running(tmp_path, workers=1, verify_signatures={"AKI": Secret("secret")}) as emulator:
        body = framed(b"no DICOM")
        url = f"{emulator.url}/datastore/{'a' * 32}/studies"
        signed = AWSRequest("POST", url, {"Content-Type": DICOM}, body)
        SigV4Auth(Credentials("AKI", "secret"), "medical-imaging", "us-east-1").add_auth(signed)
        for sent, status in ((body, 404), (body + b"x", 403)):
            answer = requests.post(url, data=sent, headers=dict(signed.headers), timeout=PATIENCE)
            assert answer.status_code == status, answer.text
