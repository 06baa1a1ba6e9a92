"""CORS: who may read answers, and how browsers ask beforehand (dicomweb.md H-1 to H-4)."""

from dataclasses import replace

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.app import create_app
from dicomweb_gateway.sight import EVERYTHING
from dicomweb_gateway.web.cors import add_cors, is_allowed_origin
from dicomweb_gateway.web.identity_keys import BY_ADDRESS
from dicomweb_gateway.web.services import WebConfig
from tests.routes.archive import build


def config(**more):
    return WebConfig(
        **{"ae_paths": ("/aetitle",), "public_url": None, "port": 8080, "boundary_key": b"k", **more}
    )


def request(method="GET", **headers):
    return Request(EnvironBuilder("/aetitle/studies", method=method, headers=headers).get_environ())


@pytest.mark.parametrize(
    ("origin", "settings", "allowed"),
    [
        ("http://localhost:3000", {}, True),
        ("http://127.0.0.1", {}, True),
        ("http://[::1]:3000", {}, True),
        ("https://app.localhost", {}, True),
        ("http://192.168.1.5", {}, False),
        ("https://evil.example.org", {}, False),
        ("http://localhost.evil.org", {}, False),
        ("null", {}, False),
        ("http://[broken", {}, False),
        ("https://evil.example.org", {"host_rule_on": False}, True),
        ("https://evil.example.org", {"host_rule_on": False, "proxy_headers": ("X-User", "X-Groups")}, False),
        ("http://localhost:3000", {"host_rule_on": False, "proxy_headers": ("X-User", "X-Groups")}, True),
        ("https://ohif.example.org", {"cors_origins": ("https://ohif.example.org",)}, True),
        ("http://localhost:3000", {"cors_origins": ("https://ohif.example.org",)}, False),
        ("https://anything.org", {"cors_origins": ("*",)}, True),
    ],
)
def test_origins(origin, settings, allowed):
    assert is_allowed_origin(origin, config(**settings)) is allowed
    response = Response()
    add_cors(request(Origin=origin), response, config(**settings))
    assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert "Origin" in response.vary


@pytest.mark.parametrize(("listed", "allowed"), [((), None), (("https://a.org",), "https://a.org")])
def test_what_is_shown_to_an_address_is_not_for_any_page_there(listed, allowed):
    asked, response = request(Origin="https://a.org"), Response()
    asked.environ[BY_ADDRESS] = True
    add_cors(asked, response, config(host_rule_on=False, cors_origins=listed))
    assert response.headers.get("Access-Control-Allow-Origin") == allowed


def test_exposed_headers_are_those_of_h2():
    response = Response()
    add_cors(request(Origin="http://localhost"), response, config())
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    needed = (
        "Content-Type, Content-Length, Content-Range, Content-Location, Accept-Ranges, ETag, Warning, "
        "X-Total-Count, Server-Timing, WWW-Authenticate, Retry-After"
    )
    own = ["x-amzn-ErrorType", "Resolution-Level-Ends", "Image-Description", "X-Request-Id"]
    assert exposed == [*needed.split(", "), *own]
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_preflight():
    response = Response()
    add_cors(request("OPTIONS", Origin="http://localhost"), response, config())
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST"
    assert response.headers["Access-Control-Max-Age"] == "86400"
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Accept", "Authorization", "Range", "If-None-Match", "If-Range", "Cache-Control", "token"} <= set(
        allowed
    )
    # what AWS's SDK for JavaScript sends besides, signed or not
    asked = "amz-sdk-invocation-id,amz-sdk-request,x-amz-content-sha256,x-amz-date,x-amz-user-agent"
    assert {*asked.split(","), "x-amz-security-token", "Content-Type"} <= set(allowed)


def test_without_an_origin_there_is_nothing_to_allow():
    response = Response()
    add_cors(request(), response, config())
    assert "Access-Control-Allow-Origin" not in response.headers


def asks(client, path, **headers):
    return client.open(path, method="OPTIONS", headers=headers)


PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "token"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return build(tmp_path_factory.mktemp("cors"), cors_origins=("https://*.a.org",)).app.test_client()


@pytest.mark.parametrize(
    "path", ["/aetitle/studies", "/aetitle/nowhere", "/datastore/x/imageSet/y/getImageFrame"]
)
def test_a_preflight_is_answered_before_anything_else(client, path):
    answer = asks(client, path, Origin="https://ohif.a.org", **PREFLIGHT)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://ohif.a.org"
    assert {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} <= set(answer.vary)
    assert "Access-Control-Allow-Private-Network" not in answer.headers
    foreign = asks(client, path, Origin="https://evil.org", **PREFLIGHT)
    assert not [name for name, _ in foreign.headers if name.startswith("Access-Control")]


def test_a_page_of_the_internet_may_ask_for_the_private_network(client):
    asked = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    answer = asks(client, "/aetitle/studies", Origin="https://ohif.a.org", **asked)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    foreign = asks(client, "/aetitle/studies", Origin="https://evil.org", **asked)
    assert "Access-Control-Allow-Private-Network" not in foreign.headers


def test_credentials_are_for_listed_origins_only():
    listed = config(cors_origins=("https://a.org",), cors_credentials=True)
    for origin, allowed in (("https://a.org", "true"), ("https://b.org", None)):
        response = Response()
        add_cors(request(Origin=origin), response, listed)
        assert response.headers.get("Access-Control-Allow-Credentials") == allowed
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_the_resource_policy_is_a_setting():
    response = Response()
    add_cors(request(), response, config(resource_policy="same-site"))
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-site"


def test_a_base_path_with_origins_of_its_own(tmp_path):
    """Below it these hold in the place of all others, and everywhere else the others."""
    house = build(tmp_path, cors_origins=("https://hospital.example.org",), cors_credentials=True)

    class Rules:
        def sight_of(self, *_):
            return EVERYTHING

        def origins_of(self, path):
            return {"/dicomweb": ("https://lab.example.org",)}.get(path)

    client = create_app(replace(house.services, rules=Rules())).test_client()
    for path, allowed, refused in (
        ("/aetitle/studies", "https://hospital.example.org", "https://lab.example.org"),
        ("/dicomweb/studies", "https://lab.example.org", "https://hospital.example.org"),
        ("/dicomweb/studies?limit=x", "https://lab.example.org", "https://hospital.example.org"),
        ("/health", "https://hospital.example.org", "https://lab.example.org"),
    ):
        for method in ("GET", "OPTIONS"):
            asks = {"Access-Control-Request-Method": "GET"} if method == "OPTIONS" else {}
            yes = client.open(path, method=method, headers={"Origin": allowed, **asks})
            no = client.open(path, method=method, headers={"Origin": refused, **asks})
            assert yes.headers["Access-Control-Allow-Origin"] == allowed
            assert yes.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Access-Control-Allow-Origin" not in no.headers
            assert "Origin" in yes.headers["Vary"]


def test_any_page_gets_nothing_of_the_browsers_login():
    answer = Response()
    asked = request(Origin="https://any.example.org")
    add_cors(asked, answer, config(cors_origins=("https://a.org",), cors_credentials=True), lambda _: ("*",))
    assert answer.headers["Access-Control-Allow-Origin"] == "https://any.example.org"
    assert "Access-Control-Allow-Credentials" not in answer.headers
