"""STOW-RS through the whole app, with a real emulator behind it and a real index (S-1)."""

import threading
import time
from dataclasses import replace
from io import BytesIO
from zlib import crc32

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.imagesets.storing import DicomStore, Piece
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


def values(answer):
    """Instance UID and PatientID of what is answered."""
    assert answer.status_code == 200, answer.text
    return {row["00080018"]["Value"][0]: row["00100020"]["Value"][0] for row in answer.json}


@pytest.mark.parametrize(
    ("study", "changes", "failure"),
    [
        (40, {}, None),
        (41, {"ImageComments": "other"}, None),
        (42, {"pixels": True}, None),
        (43, {"SeriesInstanceUID": f"{ROOT}.43.9"}, 0xA901),
        (44, {"StudyInstanceUID": f"{ROOT}.44.9"}, 0xA901),
        (45, {"PatientID": "P-9"}, 0xA901),
        (46, {"AccessionNumber": "other"}, 0xA901),
        (47, {"StudyDate": "19990101"}, 0xA901),
        (48, {"StudyID": "other"}, 0xA901),
        (49, {"SeriesNumber": "77"}, 0xA901),
    ],
)
def test_one_sop_instance_uid_sent_twice(gateway, study, changes, failure):
    """The same again, other content as a new version; all that would not be shown is refused."""
    base = f"/aetitle/studies/{ROOT}.{study}/series/{ROOT}.{study}.1"
    first = ct_slice(1, study=study, StudyID="1", ImageComments="first")
    assert gateway.store(part10(first)).status_code == 200
    before = gateway.client.get(f"{base}/metadata").json[0]
    # read anew: what makes up a slice is shared
    second = dcmread(BytesIO(part10(first)))
    if changes.pop("pixels", False):
        second.PixelData = bytes(reversed(first.PixelData))
    for keyword, value in changes.items():
        setattr(second, keyword, value)
    answer = gateway.store(part10(second))
    found = Dataset.from_json(answer.json)
    after = gateway.client.get(f"{base}/metadata").json[0]
    if failure is not None:
        assert answer.status_code == 409
        assert found.FailedSOPSequence[0].FailureReason == failure
        assert after == before
        return
    assert answer.status_code == 200
    assert after["00204000"]["Value"] == [second.ImageComments]
    assert gateway.services.archive.index.instance(
        f"{ROOT}.{study}", f"{ROOT}.{study}.1", f"{ROOT}.{study}.1.1"
    ).frames[0].checksum == crc32(second.PixelData)


def seeing(gateway, **only):
    """A client who may do all with what `only` shows, and import."""
    operations = ["import", "search", "retrieve"]
    rules = AccessRules(gateway.services.config.ae_paths, (Rule(operations=operations, only=only),))
    client = create_app(replace(gateway.services, rules=rules)).test_client()

    def store(*datasets):
        body = framed(*map(part10, datasets))
        answer = client.post("/aetitle/studies", data=body, headers=HEADERS)
        return answer.status_code, Dataset.from_json(answer.json)

    return client, store


def test_a_refusal_does_not_tell_of_hidden_things(gateway):
    """What clashes only with what is hidden is stored apart, found by who stored it, and never mixed."""
    study = f"{ROOT}.60"
    north, south = ({"PatientID": f"P-{one}", "IssuerOfPatientID": one} for one in ("N", "S"))
    assert gateway.store(*(part10(ct_slice(n, study=60, **north)) for n in (1, 2))).status_code == 200
    client, store = seeing(gateway, IssuerOfPatientID=["S"])
    assert client.get(f"/aetitle/studies?StudyInstanceUID={study}").json == []
    status, found = store(*(ct_slice(n, study=60, **south) for n in (1, 3)))
    assert (status, len(found.ReferencedSOPSequence)) == (200, 2)
    series = f"/aetitle/studies/{study}/series/{study}.1"
    ours = {f"{study}.1.1": "P-S", f"{study}.1.3": "P-S"}
    assert values(client.get(f"{series}/metadata")) == ours
    assert values(client.get(f"{series}/instances/{study}.1.1/metadata")) == {f"{study}.1.1": "P-S"}
    [row] = client.get(f"/aetitle/studies?StudyInstanceUID={study}&includefield=all").json
    assert (row["00100020"]["Value"], row["00201208"]["Value"]) == (["P-S"], [2])
    # who sees all is led to what was there first, and to each patient's own
    all_of_it = {f"{study}.1.1": "P-N", f"{study}.1.2": "P-N", f"{study}.1.3": "P-S"}
    assert values(gateway.client.get(f"{series}/metadata")) == all_of_it
    other, _ = seeing(gateway, IssuerOfPatientID=["N"])
    assert values(other.get(f"{series}/metadata")) == {f"{study}.1.{n}": "P-N" for n in (1, 2)}
    # again is the same, and who sees both is told of the clash
    assert store(ct_slice(1, study=60, **south))[0] == 200
    assert gateway.store(part10(ct_slice(4, study=60, PatientID="P-X"))).status_code == 409


def test_hidden_things_are_not_overwritten(gateway):
    """HealthImaging does not group by issuer: it would put the one in the place of the other."""
    study = f"{ROOT}.61"
    assert gateway.store(part10(ct_slice(1, study=61, IssuerOfPatientID="N"))).status_code == 200
    before = gateway.client.get(f"/aetitle/studies/{study}/metadata").json
    client, store = seeing(gateway, IssuerOfPatientID=["S"])
    status, found = store(ct_slice(1, study=61, IssuerOfPatientID="S"))
    assert (status, found.FailedSOPSequence[0].FailureReason) == (409, 0x0124)
    assert gateway.client.get(f"/aetitle/studies/{study}/metadata").json == before
    assert client.get(f"/aetitle/studies?StudyInstanceUID={study}").json == []


def test_who_may_only_import_sends_again_what_they_do_not_see(gateway):
    rules = AccessRules(gateway.services.config.ae_paths, (Rule(operations=["import"]),))
    client = create_app(replace(gateway.services, rules=rules)).test_client()
    body = framed(part10(ct_slice(1, study=62)))
    for _ in range(2):
        assert client.post("/aetitle/studies", data=body, headers=HEADERS).status_code == 200
    assert client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.62").json == []
    url = f"/aetitle/studies/{ROOT}.62/metadata"
    assert len(gateway.client.get(url).json) == 1
    # nor are they told that a UID is there
    for one in (ct_slice(1, study=62, PatientID="P-2"), ct_slice(2, study=62, AccessionNumber="2")):
        answer = client.post("/aetitle/studies", data=framed(part10(one)), headers=HEADERS)
        assert answer.status_code == 200
    assert values(gateway.client.get(url)) == {f"{ROOT}.62.1.{n}": "P-1" for n in (1, 2)}
    other, _ = seeing(gateway, PatientID=["P-2"])
    assert values(other.get(url)) == {f"{ROOT}.62.1.1": "P-2"}


def test_what_others_have_stored_clashes_though_it_is_not_indexed(gateway):
    """As an import does whose image sets nobody has indexed yet."""
    file = part10(ct_slice(1, study=63))
    store = DicomStore(gateway.emulator.url, "us-east-1")
    store.store(gateway.datastore_id, [Piece(BytesIO(file), 0, len(file))], time.monotonic() + 60)
    assert gateway.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.63").json == []
    assert gateway.store(part10(ct_slice(2, study=63, PatientID="P-2"))).status_code == 409
    assert gateway.store(part10(ct_slice(2, study=63))).status_code == 200
    assert len(gateway.client.get(f"/aetitle/studies/{ROOT}.63/metadata").json) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n--edge\r\ncontent-TYPE: Application/DICOM\r\n\r\n%s\r\n--edge--\r\nepilogue",
        b"--edge  \r\nContent-Location: http://h/1\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--edge--",
        b"--edge\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: BINARY\r\n"
        b'Content-Type: application/dicom; transfer-syntax="1.2.840.10008.1.2.1"\r\n\r\n%s\r\n--edge--',
        b"--edge\r\n\r\n%s\r\n--edge--",
    ],
    ids=["any case", "location", "parameters", "no headers"],
)
def test_how_clients_write_parts(gateway, body):
    assert gateway.store(body=body % part10(ct_slice(1, study=64))).status_code == 200


@pytest.mark.parametrize("length", [-1, 0, 1])
def test_parts_that_tell_their_length(gateway, length):
    part = part10(ct_slice(1, study=65))
    head = f"--edge\r\nContent-Length: {len(part) + length}\r\n\r\n".encode()
    answer = gateway.store(body=head + part + b"\r\n--edge--\r\n")
    assert answer.status_code == (400 if length else 200)


def test_lines_that_end_as_no_multipart_body_does_are_refused(gateway):
    body = framed(part10(ct_slice(1, study=66))).replace(b"\r\n", b"\n")
    assert gateway.store(body=body).status_code == 400


def test_a_disk_that_is_full_stores_nothing(gateway, tmp_path):
    space = SpoolSpace(tmp_path / "spool", min_free_bytes=1 << 60)
    storing = replace(gateway.services.storing, space=space)
    archive = replace(gateway.services.archive, spools=space)
    client = create_app(replace(gateway.services, storing=storing, archive=archive)).test_client()
    deflated = dcmread(BytesIO(part10(ct_slice(1, study=67))))
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    answer = client.post("/aetitle/studies", data=framed(part10(deflated)), headers=HEADERS)
    assert answer.status_code == 503
    assert gateway.client.get(f"/aetitle/studies?StudyInstanceUID={ROOT}.67").json == []


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
