"""STOW-RS through the whole app, with a real emulator behind it and a real index (S-1)."""

import threading
import time
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.settings import Settings
from tests.emulator.files import ROOT, ct_slice
from tests.emulator.running import running
from tests.stow.parts import CONTENT_TYPE, framed, part10

JSON = "application/dicom+json"
HEADERS = {"Content-Type": CONTENT_TYPE, "Accept": JSON}


class Gateway:
    """An app over a running emulator."""

    def __init__(self, emulator, folder, **settings) -> None:
        self.emulator = emulator
        self.datastore_id = emulator.datastore()
        made = Settings(
            data_dir=folder,
            ahi_endpoint=emulator.url,
            store_datastore_id=self.datastore_id,
            audit_log=folder / "audit.log",
            **settings,
        )
        self.audit = folder / "audit.log"
        upgrade(made.index_url)
        self.services = make_services(made, [], 8080)
        self.client = create_app(self.services).test_client()

    def store(self, *contents, path="/aetitle/studies", body=None, **headers):
        return self.client.post(
            path,
            data=framed(*contents) if body is None else body,
            headers={**HEADERS, **headers},
        )


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("upstream"), workers=1) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(emulator, tmp_path_factory):
    return Gateway(emulator, tmp_path_factory.mktemp("gateway"))


def test_what_is_stored_is_found_and_retrieved_at_once(gateway):
    files = [part10(ct_slice(number, study=20)) for number in (1, 2)]
    answer = gateway.store(*files)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == JSON
    found = Dataset.from_json(answer.json)
    assert found.RetrieveURL == f"http://localhost:8080/aetitle/studies/{ROOT}.20"
    assert len(found.ReferencedSOPSequence) == 2
    url = found.ReferencedSOPSequence[1].RetrieveURL.removeprefix("http://localhost:8080")
    rows = gateway.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.20").json
    assert rows[0]["00201208"]["Value"] == [2]
    metadata = gateway.client.get(f"{url}/metadata").json
    assert metadata[0]["00080018"]["Value"] == [f"{ROOT}.20.1.2"]


def test_storing_again_is_seen_at_once(gateway):
    first = ct_slice(1, study=21, SeriesDescription="before")
    assert gateway.store(part10(first)).status_code == 200
    series = f"/aetitle/studies/{ROOT}.21/series/{ROOT}.21.1"
    assert len(gateway.client.get(f"{series}/metadata").json) == 1
    assert gateway.store(part10(ct_slice(1, study=21)), part10(ct_slice(2, study=21))).status_code == 200
    assert len(gateway.client.get(f"{series}/metadata").json) == 2
    assert gateway.client.get(f"{series}/instances/{ROOT}.21.1.2/metadata").status_code == 200


def test_some_are_refused_with_reasons(gateway):
    answer = gateway.store(
        part10(ct_slice(1, study=22)),
        part10(ct_slice(2, study=22, PatientID="P-2")),
        part10(ct_slice(3, study=22))[:-10],
        b"no DICOM",
    )
    assert answer.status_code == 202
    found = Dataset.from_json(answer.json)
    assert [one.ReferencedSOPInstanceUID for one in found.ReferencedSOPSequence] == [f"{ROOT}.22.1.1"]
    assert [one.FailureReason for one in found.FailedSOPSequence] == [0xA901, 0xC000]
    assert [one.FailureReason for one in found.OtherFailuresSequence] == [0xC000]
    again = gateway.store(part10(ct_slice(9, study=22, PatientID="P-2")))
    assert again.status_code == 409
    [image_set] = [
        one
        for one in gateway.emulator.image_sets(gateway.datastore_id)
        if one["DICOMTags"]["DICOMStudyInstanceUID"] == f"{ROOT}.22"
    ]
    assert image_set["isPrimary"]


def test_answers_come_as_xml_too(gateway):
    answer = gateway.store(part10(ct_slice(1, study=23)), Accept="application/dicom+xml")
    assert answer.mimetype == "application/dicom+xml"
    assert b'keyword="ReferencedSOPSequence"' in answer.data
    assert gateway.store(part10(ct_slice(1, study=23)), Accept="image/png").status_code == 406


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/dicom"}, b"x", 415),
        ({"Content-Type": ""}, b"x", 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=edge'}, b"x", 415),
        ({"Content-Type": "multipart/form-data; boundary=edge"}, b"x", 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, b"x", 400),
        ({"Content-Encoding": "gzip"}, framed(b"x"), 415),
        ({}, b"", 400),
        ({}, framed(b"x")[:-6], 400),
        ({}, b"--edge--", 400),
        ({}, framed(b"x"), 409),
    ],
)
def test_bad_requests(gateway, headers, body, status):
    answer = gateway.store(body=body, **headers)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_the_study_of_the_address(gateway):
    part = part10(ct_slice(1, study=24))
    assert gateway.store(part, path="/aetitle/studies/1.2.3").status_code == 409
    assert gateway.store(part, path="/aetitle/studies/no-uid").status_code == 400
    assert gateway.store(part, path=f"/aetitle/studies/{ROOT}.24").status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; type=application/dicom; boundary=edge",
        'Multipart/Related; boundary=edge; type="Application/DICOM"',
        'multipart/related; boundary="edge"',
    ],
)
def test_how_clients_write_the_content_type(gateway, content_type):
    assert gateway.store(part10(ct_slice(1, study=33)), **{"Content-Type": content_type}).status_code == 200


def test_names_with_scripts_are_text(gateway):
    name = "<script>alert(1)</script>"
    answer = gateway.store(part10(ct_slice(1, study=25, PatientName=name)))
    assert answer.status_code == 200
    rows = gateway.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.25").json
    assert rows[0]["00100010"]["Value"][0]["Alphabetic"] == name
    assert name not in answer.text


def test_the_audit_log_tells_what_was_imported(gateway):
    gateway.store(part10(ct_slice(1, study=26)), b"no DICOM")
    line = gateway.audit.read_text().splitlines()[-1]
    assert '"event":"Import"' in line
    assert f'"studies":["{ROOT}.26"]' in line
    assert '"stored":1,"refused":1' in line


def test_a_failing_upstream_is_no_success(gateway):
    part = part10(ct_slice(1, study=27))
    gateway.emulator.side("PUT", "faults", json={"failure_rate": 1, "failure_operations": ["StoreDICOM"]})
    try:
        assert gateway.store(part).status_code in (502, 503)
    finally:
        gateway.emulator.side("PUT", "faults", json={"failure_rate": 0})
    assert gateway.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.27").json == []
    until = time.monotonic() + 60
    while gateway.store(part).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.5)


def test_where_storing_is_off_it_is_405(emulator, tmp_path):
    off = Gateway(emulator, tmp_path, store_enabled=False)
    answer = off.store(b"x")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "switched off" in answer.json["message"]
    assert off.client.get("/pages/upload").status_code == 404
    assert "import" not in off.client.get("/session").json["may"]


@pytest.mark.parametrize(("operations", "status"), [(["import"], 200), (["search", "retrieve"], 404)])
def test_the_upload_page_is_for_who_may_import(gateway, operations, status):
    rules = AccessRules(gateway.services.config.ae_paths, (Rule(operations=operations),))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    assert client.get("/pages/upload").status_code == status
    assert ('href="/pages/upload"' in client.get("/").get_data(as_text=True)) == (status == 200)


@pytest.mark.parametrize(
    ("operations", "stores", "status"),
    [
        (["import"], None, 200),
        (["search", "retrieve"], None, 405),
        (["import"], ["e" * 32], 405),
    ],
)
def test_who_may_not_import_finds_it_switched_off(gateway, operations, stores, status):
    rule = Rule(operations=operations, data_stores=stores)
    rules = AccessRules(gateway.services.config.ae_paths, (rule,))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    body = framed(part10(ct_slice(1, study=30)))
    assert client.post("/aetitle/studies", data=body, headers=HEADERS).status_code == status


def test_only_what_a_rule_shows_may_be_stored(gateway):
    rule = Rule(operations=["import", "search"], only={"Modality": ["MR"]})
    rules = AccessRules(gateway.services.config.ae_paths, (rule,))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    body = framed(part10(ct_slice(1, study=31)), part10(ct_slice(1, 2, 31, Modality="MR")))
    answer = client.post("/aetitle/studies", data=body, headers=HEADERS)
    assert answer.status_code == 202
    assert Dataset.from_json(answer.json).FailedSOPSequence[0].FailureReason == 0x0124
    assert len(gateway.client.get(f"/aetitle/studies/{ROOT}.31/series").json) == 1


def test_a_server_that_hands_bodies_over_as_they_come(gateway):
    class Pipe:
        """A body that cannot seek."""

        def __init__(self, body):
            self._file = BytesIO(body)

        def read(self, size=-1):
            return self._file.read(size)

    body = framed(part10(ct_slice(1, study=32)))
    environ = EnvironBuilder(method="POST", path="/aetitle/studies", headers=HEADERS).get_environ()
    environ.update({"wsgi.input": Pipe(body), "CONTENT_LENGTH": str(len(body))})
    app = create_app(gateway.services)
    statuses = []
    answer = app.wsgi_app(environ, lambda status, headers, error=None: statuses.append(status))
    b"".join(answer)
    assert statuses == ["200 OK"]


def test_a_body_that_is_too_large(gateway):
    config = replace(gateway.services.config, store_max_bytes=10_000)
    client = create_app(replace(gateway.services, config=config)).test_client()
    answer = client.post("/aetitle/studies", data=bytes(10_001), headers={"Content-Type": CONTENT_TYPE})
    assert answer.status_code == 413


def test_many_at_once_do_not_lose_any(gateway):
    answers = []

    def store(number):
        answers.append(gateway.store(part10(ct_slice(number, study=28))).status_code)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6
    rows = gateway.client.get(f"/aetitle/studies/{ROOT}.28/instances").json
    assert len(rows) == 6


def test_of_two_patients_with_one_new_study_one_is_refused(gateway):
    statuses: list[int] = []

    def store(patient):
        client = gateway.client.application.test_client()
        body = framed(
            *(part10(ct_slice(number + patient, study=77, PatientID=f"P-{patient}")) for number in (10, 20))
        )
        statuses.append(client.post("/aetitle/studies", data=body, headers=HEADERS).status_code)

    threads = [threading.Thread(target=store, args=(patient,)) for patient in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409]


def test_conformance_tells_of_storing(gateway):
    document = gateway.client.options("/aetitle").json
    rows = [one for one in document["resources"] if one["service"] == "STOW-RS"]
    assert {one["path"] for one in rows} == {"/studies", "/studies/{study}"}
    assert all("POST" in one["methods"] for one in rows)


def test_elements_come_back_as_they_were(gateway):
    """A stored slice comes back with the elements that it had; its pixels come by fetchers (tests/e2e)."""
    sent = ct_slice(1, study=29)
    gateway.store(part10(sent))
    url = f"/aetitle/studies/{ROOT}.29/series/{ROOT}.29.1/instances/{ROOT}.29.1.1/metadata"
    row = gateway.client.get(url).json[0]
    del row["7FE00010"]
    metadata = Dataset.from_json(row)
    for element in dcmread(BytesIO(part10(sent))):
        if element.keyword != "PixelData":
            assert metadata[element.tag].value == element.value, element.keyword
