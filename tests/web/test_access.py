"""Host rule and CORS (dicomweb.md H-1 to H-4)."""

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.access import add_cors, check_host, is_allowed_origin
from dicomweb_gateway.web.services import WebConfig


def config(**more):
    return WebConfig(
        **{"ae_paths": ("/aetitle",), "public_url": None, "port": 8080, "boundary_key": b"k", **more}
    )


def request(method="GET", **headers):
    return Request(EnvironBuilder("/aetitle/studies", method=method, headers=headers).get_environ())


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "viewer.localhost",
        "127.0.0.1:8080",
        "[::1]:8080",
        "192.168.1.5:8080",
        "gw.example.org",
        "GW.example.org:99",
    ],
)
def test_hosts_that_are_answered(host):
    check_host(request(Host=host), config(allowed_hosts=("gw.example.org",)))


@pytest.mark.parametrize(
    "host",
    ["evil.example.org", "localhost.evil.org", "127.0.0.1.evil.org", "[bad", "", "a b", "localhost@evil.org"],
)
def test_foreign_hosts_are_refused(host):
    with pytest.raises(InvalidRequest, match="ALLOWED_HOSTS"):
        check_host(request(Host=host), config(allowed_hosts=("gw.example.org",)))


def test_only_http_1_0_may_leave_its_host_out():
    for version, allowed in (("HTTP/1.0", True), ("HTTP/1.1", False)):
        environ = EnvironBuilder("/health").get_environ()
        del environ["HTTP_HOST"]
        asked = Request({**environ, "SERVER_NAME": "waitress.invalid", "SERVER_PROTOCOL": version})
        if allowed:
            check_host(asked, config())
        else:
            with pytest.raises(InvalidRequest):
                check_host(asked, config())


def test_with_a_login_any_host_will_do():
    check_host(request(Host="evil.example.org"), config(host_rule_on=False))


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


def test_exposed_headers_are_those_of_h2():
    response = Response()
    add_cors(request(Origin="http://localhost"), response, config())
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    needed = (
        "Content-Type, Content-Length, Content-Range, Content-Location, Accept-Ranges, ETag, Warning, "
        "X-Total-Count, Server-Timing, WWW-Authenticate, Retry-After"
    )
    assert exposed == [*needed.split(", "), "Resolution-Level-Ends"]
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


def test_without_an_origin_there_is_nothing_to_allow():
    response = Response()
    add_cors(request(), response, config())
    assert "Access-Control-Allow-Origin" not in response.headers
