"""The capabilities document and the conformance statement, held against what the app really does (S-2)."""

import re

import pytest

from dicomweb_gateway.app import DICOMWEB
from dicomweb_gateway.pixels.targets import TARGETS
from dicomweb_gateway.web.served import RESOURCES
from tests.routes.archive import CT, JPEG, PDF, STUDY, path_of

NAMES = {
    "study": STUDY,
    "series": CT,
    "instance": f"{CT}.1",
    "frames": "1",
    "level": "0",
    "steps": "7FE00010",
}


@pytest.fixture(scope="module")
def document(house):
    return house.app.test_client().options("/aetitle").json


def address(path):
    return "/aetitle" + re.sub(r"{(\w+)}", lambda match: NAMES[match[1]], path)


@pytest.mark.parametrize("path", ["/aetitle", "/aetitle/"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_base_path_answers_json(house, path, method):
    answer = house.app.test_client().open(path, method=method, headers={"Origin": "http://localhost:3000"})
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json["product"] == "dicomweb-gateway"
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/aetitle", "/aetitle/"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_other_methods_are_405_with_those_allowed(house, path, method):
    answer = house.app.test_client().open(path, method=method)
    assert answer.status_code == 405
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))


def test_every_view_is_described(house):
    mounted = {name for rule in house.app.url_map.iter_rules() for name in [rule.endpoint.rpartition(".")]}
    views = {
        view for blueprint, _, view in mounted if blueprint.removesuffix("0") in {b.name for b in DICOMWEB}
    }
    assert views == set(RESOURCES)


def test_every_address_is_listed(house, document):
    rules = {r.rule.removeprefix("/aetitle") for r in house.app.url_map.iter_rules() if "/aetitle/" in r.rule}
    listed = {resource["path"] for resource in document["resources"]}
    assert listed == {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in rules}


def test_every_address_answers_in_its_first_media_type(house, document):
    client = house.app.test_client()
    for resource in document["resources"]:
        url = address(resource["path"])
        if "GET" not in resource["methods"]:
            assert client.post(url, headers={"Accept": resource["mediaTypes"][0]}).status_code == 405
            continue
        answer = client.get(url, headers={"Accept": resource["mediaTypes"][0]})
        assert answer.status_code == 200, (url, answer.data[:200])
        assert client.head(url, headers={"Accept": resource["mediaTypes"][0]}).status_code == 200
        assert client.options(url).status_code in (200, 204)


@pytest.mark.parametrize(
    "view",
    sorted(
        set(RESOURCES)
        - {"retrieve_frames", "retrieve_bulk_data", "retrieve_pixels", "retrieve_instance_pixels"}
        - {"store_instances"}
    ),
)
def test_every_media_type_is_served(house, document, view):
    client = house.app.test_client()
    found = [r for r in document["resources"] if r["answer"] == RESOURCES[view].answer]
    for resource in found:
        for media_type in resource["mediaTypes"]:
            answer = client.get(address(resource["path"]), headers={"Accept": media_type})
            assert answer.status_code == 200, (resource["path"], media_type)


def test_documents_are_served_by_their_type(house):
    url = f"{path_of(PDF, 1)}/bulkdata/00420011"
    for media_type in RESOURCES["retrieve_bulk_data"].media_types:
        assert house.app.test_client().get(url, headers={"Accept": media_type}).status_code == 200


def made_on_request(document):
    return [row["uid"] for row in document["transferSyntaxes"] if row["onRequest"]]


def test_syntaxes_on_request_are_those_of_the_table(document):
    assert set(made_on_request(document)) == {target.uid for target in TARGETS}


@pytest.mark.parametrize("uid", [target.uid for target in TARGETS if not target.lossy])
def test_every_syntax_on_request_is_served(house, uid):
    client = house.app.test_client()
    for url, kind in ((f"{path_of(CT, 1)}/frames/1", "*/*"), (path_of(CT, 1), "application/dicom")):
        accept = f'multipart/related; type="{kind}"; transfer-syntax={uid}'
        assert client.get(url, headers={"Accept": accept}).status_code == 200, (url, uid)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_every_search_key_is_taken(house, document, level):
    values = {"DA": "20200101", "TM": "1200", "DT": "20200101", "UI": "1.2.3", "IS": "1", "US": "1"}
    route = {"study": "studies", "series": "series", "instance": "instances"}[level]
    for key in document["search"][level]:
        value = values.get(key["vr"], "X")
        answer = house.app.test_client().get(f"/aetitle/{route}?{key['keyword']}={value}")
        assert answer.status_code == 200, (key, answer.data)


def test_limits_hold(house, document):
    most = document["limits"]["framesInOneList"]
    frames = ",".join(str(number) for number in range(1, most + 2))
    assert house.app.test_client().get(f"{path_of(CT, 1)}/frames/{frames}").status_code == 413


def test_the_statement_names_everything_of_the_document(house, document):
    page = house.app.test_client().get("/aetitle/conformance")
    assert page.mimetype == "text/html"
    assert "script" not in page.headers["Content-Security-Policy"]
    text = page.get_data(as_text=True)
    for resource in document["resources"]:
        assert resource["path"] in text
    for row in document["transferSyntaxes"]:
        assert row["uid"] in text
    for keys in document["search"].values():
        assert all(key["keyword"] in text for key in keys)
    assert all(error["reason"].split("'")[0] in text for error in document["errors"])


def test_links_follow_the_base_path(house):
    document = house.app.test_client().get("/aetitle", headers={"Host": "localhost:9"}).json
    assert document["conformance"] == f"{document['baseUrl']}/conformance"


def test_a_jpeg_is_listed_as_it_is_stored(house, document):
    accept = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
    assert (
        house.app.test_client().get(f"{path_of(JPEG, 1)}/frames/1", headers={"Accept": accept}).status_code
        == 200
    )
    (row,) = [r for r in document["transferSyntaxes"] if r["uid"] == "1.2.840.10008.1.2.4.50"]
    assert (row["mediaType"], row["lossless"]) == ("image/jpeg", False)


@pytest.mark.parametrize("path", ["/aetitle", "/aetitle/conformance"])
def test_what_the_client_holds_is_not_sent_again(house, path):
    """H-8."""
    client = house.app.test_client()
    whole = client.get(path)
    answer = client.get(path, headers={"If-None-Match": whole.headers["ETag"]})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == whole.headers["ETag"]
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200
