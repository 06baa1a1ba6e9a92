"""What one client may ask, whichever way its requests take (429), and what a request may look like."""

import pytest

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.web.endings import AT_END
from tests.routes.archive import CT, path_of
from tests.routes.audited import AuditedHouse

FRAME = f"{path_of(CT, 1)}/frames/1"


@pytest.mark.parametrize("path", [FRAME, f"{FRAME}?x=1", "/aetitle/studies", "/aetitle/nowhere"])
def test_one_request_too_many(tmp_path, path):
    house = AuditedHouse(tmp_path, rates={"rate": 0.5, "burst": 3})
    for _ in range(3):
        assert house.get(path).status_code in (200, 404)
    refused = house.get(path, Origin="http://localhost:3000")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.get_json()["status"] == 429
    assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert [line["status"] for line in house.lines()][-1] == 429
    assert house.lines()[-1]["event"] == "Security Alert"
    # others are not touched, nor are load balancers and preflights
    assert house.get(path, environ={"REMOTE_ADDR": "127.0.0.9"}).status_code in (200, 404)
    assert house.get("/healthcheck").status_code == 200
    preflight = {"Origin": "http://localhost:3000", "Access_Control_Request_Method": "GET"}
    assert house.get(path, "OPTIONS", **preflight).status_code == 204


def test_callers_are_counted_by_their_names_and_applications(tmp_path):
    known = [Caller("a", "oidc"), Caller("b", "oidc"), Caller("a", "token"), Caller("a", "oidc", "ohif")]
    callers = {str(number): caller for number, caller in enumerate(known)}
    house = AuditedHouse(tmp_path, rates={"rate": 0.5, "burst": 1}, callers=callers)
    for name in callers:
        assert house.get("/aetitle/studies", Authorization=name).status_code == 200
    assert house.get("/aetitle/studies", Authorization="0").status_code == 429


@pytest.mark.parametrize("path", [FRAME, "/aetitle/studies"])
def test_who_is_not_let_in_is_counted_by_the_address(tmp_path, path):
    house = AuditedHouse(tmp_path, rates={"rate": 0.5, "burst": 2}, callers={"a": Caller("a", "oidc")})
    assert [house.get(path).status_code for _ in range(3)] == [401, 401, 429]
    assert house.get(path, Authorization="a").status_code == 200


@pytest.mark.parametrize("path", [FRAME, "/aetitle/studies"])
def test_too_many_failed_logins(tmp_path, path):
    """Whose login holds is let in from the same address all the same."""
    house = AuditedHouse(tmp_path, rates={"failed_logins": 2}, callers={"a": Caller("a", "oidc")})
    tried = [house.get(path, Authorization=f"wrong{number}") for number in range(4)]
    assert [answer.status_code for answer in tried] == [401, 401, 429, 429]
    assert tried[-1].headers["Retry-After"]
    assert house.get(path).status_code == 401
    assert house.get(path, Authorization="a").status_code == 200
    assert house.get(path, Authorization="wrong", environ={"REMOTE_ADDR": "127.0.0.9"}).status_code == 401


def test_the_neighbours_in_an_ipv6_network_are_one_client(tmp_path):
    house = AuditedHouse(tmp_path, rates={"rate": 0.5, "burst": 1})
    assert house.get(FRAME, environ={"REMOTE_ADDR": "2001:db8::1"}).status_code == 200
    assert house.get(FRAME, environ={"REMOTE_ADDR": "2001:db8::2"}).status_code == 429


@pytest.mark.parametrize("path", [FRAME, "/aetitle/studies"])
def test_requests_at_once_are_counted_until_their_answers_are_over(tmp_path, path):
    house = AuditedHouse(tmp_path, rates={"at_once": 2})
    ends = [[], []]
    for end in ends:
        assert house.get(path, environ={AT_END: end}).status_code == 200
    assert house.get(path, environ={AT_END: []}).status_code == 429
    limits = house.house.services.limits
    for tell in ends[0]:
        if getattr(tell, "func", tell).__name__ == "_left":
            tell(None)
    assert limits._counts.usage("client address 127.0.0.1", 60).under_way == 1
    assert house.get(path, environ={AT_END: []}).status_code == 200


def test_a_spoofed_address_is_no_other_client(tmp_path):
    house = AuditedHouse(tmp_path, rates={"rate": 0.5, "burst": 1})
    assert house.get(FRAME, X_Forwarded_For="1.1.1.1").status_code == 200
    assert house.get(FRAME, X_Forwarded_For="2.2.2.2", X_Real_IP="3.3.3.3").status_code == 429


def test_a_query_of_too_many_parameters(tmp_path):
    house = AuditedHouse(tmp_path, max_query_parameters=5)
    assert house.get("/aetitle/studies?" + "&".join(["includefield=all"] * 5)).status_code == 200
    refused = house.get("/aetitle/studies?" + "&".join(["includefield=all"] * 6))
    assert refused.status_code == 400
    assert "parameters" in refused.get_json()["message"]


def test_a_body_that_is_too_large(tmp_path):
    house = AuditedHouse(tmp_path, max_body_bytes=1000)
    address = f"/datastore/{'d' * 32}/imageSet/{'a' * 32}/getImageFrame"
    assert house.client.post(address, data=b"x" * 1001).status_code == 413
    assert house.client.post(address, data=b"x" * 1000).status_code == 400
