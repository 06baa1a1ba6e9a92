"""Who saw what: one line in the audit log for each request, and patients' data nowhere else (PS3.15 A.5)."""

import json
import logging

import pytest

from dicomweb_gateway.access.caller import Caller
from tests.routes.archive import CT, STORE, STUDY, hex_id, path_of
from tests.routes.audited import AuditedHouse

INSTANCE = path_of(CT, 1)
UIDS = {"study": STUDY, "series": CT, "instance": f"{CT}.1"}


@pytest.fixture
def house(tmp_path):
    return AuditedHouse(tmp_path)


def test_a_refusal_that_a_page_had_as_an_empty_answer_is_one(house):
    """RFC 7240: the line tells of the 406 that it would have been."""
    answer = house.get(f"{INSTANCE}/rendered", Accept="text/plain", Prefer="handling=lenient")
    (line,) = house.lines()
    assert answer.status_code == line["status"] == 204
    assert (line["outcome"], line["refused"], line["bytes"]) == (4, 406, 0)


@pytest.mark.parametrize(
    ("path", "event", "operation", "facts"),
    [
        ("/aetitle/studies", "Query", "search", {"results": 2}),
        (
            "/aetitle/studies?PatientName=M%C3%BCller*&limit=1&00100020=P1",
            "Query",
            "search",
            {"query": {"PatientName": "Müller*", "limit": "1", "00100020": "P1"}, "results": 1},
        ),
        (f"/aetitle/studies/{STUDY}/series", "Query", "search", {"study": STUDY, "results": 2}),
        (f"/aetitle/studies/{STUDY}/metadata", "DICOM Instances Transferred", "retrieve", {"study": STUDY}),
        (f"{INSTANCE}/frames/1", "DICOM Instances Transferred", "retrieve", {**UIDS, "frames": "1"}),
        (f"{INSTANCE}/frames/1?x=1", "DICOM Instances Transferred", "retrieve", {**UIDS, "frames": "1"}),
        (INSTANCE, "DICOM Instances Transferred", "retrieve", UIDS),
        (f"{INSTANCE}/bulkdata/00091001", "DICOM Instances Transferred", "retrieve", UIDS),
        (f"{INSTANCE}/rendered", "DICOM Instances Accessed", "rendered", UIDS),
        (f"{path_of(CT)}/thumbnail", "DICOM Instances Accessed", "rendered", {"series": CT}),
        (
            f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame"
            f"?imageFrameId={hex_id('frame', CT, 1, 1)}",
            "DICOM Instances Transferred",
            "tlm",
            {
                "data_store": STORE,
                "image_set": hex_id("set", CT),
                "query": {"imageFrameId": hex_id("frame", CT, 1, 1)},
            },
        ),
    ],
)
def test_what_was_asked_and_what_came(house, path, event, operation, facts):
    answer = house.get(path)
    assert answer.status_code == 200
    (line,) = house.lines()
    assert (line["event"], line["operation"]) == (event, operation)
    assert (line["outcome"], line["status"], line["complete"]) == (0, 200, True)
    assert line["bytes"] == int(answer.headers.get("Content-Length", 0))
    assert {name: line[name] for name in facts} == facts
    assert (line["method"], line["address"]) == ("GET", "127.0.0.1")


def test_a_token_in_the_wrong_place_is_written_nowhere(house):
    static, jwt = "dwg_" + "A" * 43, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    for path in (
        f"/aetitle/studies?x=1;token={static}&token[]={jwt}&{static}=1",
        f"/aetitle/{jwt}",
        f"/aetitle/studies/{static}/metadata",
    ):
        house.get(path)
    lines = json.dumps(house.lines())
    assert static not in lines
    assert jwt not in lines
    assert lines.count("[left out]") == 5


def test_what_was_asked_in_a_body(house):
    frame = {"imageFrameId": hex_id("frame", CT, 1, 1)}
    address = f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame"
    for body in (frame, {"imageFrameInformation": frame}):
        assert house.client.post(address, json=body).status_code == 200
    assert house.client.post(address, json={"imageFrameId": "x" * 5000}).status_code == 400
    assert [line.get("image_frame") for line in house.lines()] == [*[frame["imageFrameId"]] * 2, None]
    assert "xxxx" not in house.path.read_text()


def test_a_search_for_image_sets_says_for_whom_and_how_many(house):
    wanted = {"filters": [{"values": [{"DICOMPatientId": "P1"}], "operator": "EQUAL"}]}
    answer = house.client.post(f"/datastore/{STORE}/searchImageSets?maxResults=5", json=wanted)
    (line,) = house.lines()
    assert line["criteria"] == wanted
    assert line["query"] == {"maxResults": "5"}
    assert line["results"] == len(answer.get_json()["imageSetsMetadataSummaries"]) > 0


@pytest.mark.parametrize("query", ["%ff=%fe", "a=%ed%a0%80", "PatientName=\xff", "&&=&a&b="])
def test_a_query_that_is_no_text_is_written_too(house, query):
    house.get("/aetitle/studies", environ={"QUERY_STRING": query})
    (line,) = house.lines()
    assert isinstance(line["query"], dict)


@pytest.mark.parametrize(
    ("path", "status", "event"),
    [
        ("/aetitle/studies/9.9/metadata", 404, "DICOM Instances Transferred"),
        ("/aetitle/studies?limit=x", 400, "Query"),
        (f"{INSTANCE}/frames/0", 400, "DICOM Instances Transferred"),
        ("/aetitle/nowhere", 404, "Security Alert"),
        (f"{INSTANCE}/frames/1%2f2", 400, "Security Alert"),
    ],
)
def test_what_failed(house, path, status, event):
    assert house.get(path).status_code == status
    (line,) = house.lines()
    assert (line["event"], line["status"], line["outcome"]) == (event, status, 4)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthcheck"),
        ("GET", "/health"),
        ("GET", "/aetitle/health"),
        ("GET", "/"),
        ("GET", "/aetitle"),
        ("GET", "/aetitle/conformance"),
        ("OPTIONS", f"{INSTANCE}/frames/1"),
    ],
)
def test_what_shows_nothing_of_patients_is_not_in_it(house, method, path):
    assert house.get(path, method).status_code in (200, 204)
    assert house.lines() == []


def test_who_asked(tmp_path):
    house = AuditedHouse(
        tmp_path, callers={"a": Caller("dr.müller", "oidc", "ohif", frozenset({"radiology"}))}
    )
    assert house.get("/aetitle/studies", Authorization="a").status_code == 200
    (line,) = house.lines()
    assert (line["user"], line["client"], line["login"]) == ("dr.müller", "ohif", "oidc")


@pytest.mark.parametrize("path", ["/aetitle/studies", f"{INSTANCE}/frames/1", "/aetitle/nowhere", "/aetitle"])
def test_who_was_not_let_in(tmp_path, path):
    house = AuditedHouse(tmp_path, callers={})
    assert house.get(path, Authorization="Bearer geheim1234").status_code == 401
    (line,) = house.lines()
    assert (line["event"], line["status"], line["outcome"]) == ("User Authentication", 401, 4)
    assert (line["user"], line["login"]) == (None, None)
    assert "geheim" not in house.path.read_text()


def test_the_address_is_what_trusted_proxies_say(tmp_path):
    house = AuditedHouse(tmp_path, trusted_proxies=("127.0.0.1",))
    house.get("/aetitle/studies", X_Forwarded_For="6.6.6.6, 8.8.8.8")
    assert [line["address"] for line in house.lines()] == ["8.8.8.8"]


@pytest.mark.parametrize(
    "name", ["token", "TOKEN", "access_token", "to%6ben", "X-Amz-Security-Token", "X-Amz-Signature"]
)
def test_no_token_is_written(house, name):
    house.get(
        f"/aetitle/studies?{name}=geheim1234&PatientID=P1",
        Authorization="Bearer geheim1234",
        token="geheim1234",
    )
    assert "geheim" not in house.path.read_text()
    assert house.lines()[0]["query"]["PatientID"] == "P1"


@pytest.mark.parametrize(
    "value",
    ["%0A%7B%22user%22%3A%22root%22%7D", "%0D%0A", "%E2%80%A8", "%00", "%F0%9F%98%80", "%22%7D", "%1b[2J"],
)
def test_hostile_values_are_data(house, value):
    house.get(f"/aetitle/studies?PatientName={value}")
    house.get(f"/aetitle/studies/1.2{value}/metadata")
    assert len(house.lines()) == 2
    assert house.path.read_bytes().isascii()


def test_nothing_of_it_is_in_the_other_log(house, caplog):
    caplog.set_level(logging.DEBUG)
    house.get("/aetitle/studies?PatientName=Secret^Name")
    house.get(f"{INSTANCE}/frames/9")
    assert len(house.lines()) == 2
    assert "Secret" not in caplog.text
    assert STUDY not in caplog.text


def test_a_log_that_must_be_and_cannot_be_written_stops_the_service(tmp_path):
    house = AuditedHouse(tmp_path, required=True)
    assert house.get("/aetitle/studies").status_code == 200
    house.path.unlink()
    house.path.mkdir()
    # what is under way when it begins to fail is answered, and waits to be written
    house.get("/aetitle/studies?limit=1")
    refused = house.get("/aetitle/studies?limit=2")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    house.path.rmdir()
    house.audit._try_at = 0
    assert house.get("/aetitle/studies?limit=3").status_code == 200
    statuses = [(line["query"]["limit"], line["status"]) for line in house.lines()]
    assert statuses == [("1", 200), ("2", 503), ("3", 200)]
