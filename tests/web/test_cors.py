"""CORS: who may read answers, and how browsers ask beforehand (dicomweb.md H-1 to H-4)."""

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.web.cors import add_cors, is_allowed_origin
from dicomweb_gateway.web.services import WebConfig


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
