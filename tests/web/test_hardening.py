"""HSTS and privacy follow what is known of the request, not what it claims."""

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.web.hardening import harden
from dicomweb_gateway.web.services import WebConfig


def hardened(response=None, environ=None, headers=None, **settings):
    response = response or Response()
    built = EnvironBuilder(
        "/a", headers=headers, environ_overrides={"REMOTE_ADDR": "10.0.0.1", **(environ or {})}
    )
    harden(Request(built.get_environ()), response, WebConfig(("/a",), None, 80, b"k", **settings))
    return response.headers


@pytest.mark.parametrize(
    ("headers", "settings", "told"),
    [
        (
            {"X-Forwarded-Proto": "https"},
            {"hsts_seconds": 60, "trusted_proxies": ("10.0.0.1",)},
            "max-age=60",
        ),
        (
            {"Forwarded": "for=x;proto=https"},
            {"hsts_seconds": 60, "trusted_proxies": ("10.0.0.1",)},
            "max-age=60",
        ),
        ({"X-Forwarded-Proto": "http"}, {"hsts_seconds": 60, "trusted_proxies": ("10.0.0.1",)}, None),
        ({"X-Forwarded-Proto": "https"}, {"hsts_seconds": 60}, None),
        ({"X-Forwarded-Proto": "https"}, {"trusted_proxies": ("10.0.0.1",)}, None),
    ],
)
def test_hsts_is_told_behind_tls_only(headers, settings, told):
    assert hardened(headers=headers, **settings).get("Strict-Transport-Security") == told


@pytest.mark.parametrize(
    ("caller", "held", "expected"),
    [
        (Caller("a", "oidc"), "no-cache", "private, no-cache"),
        (Caller("a", "oidc"), "max-age=5, immutable", "private, max-age=5, immutable"),
        (Caller("a", "oidc"), "no-store", "no-store"),
        (Caller("a", "oidc"), "public, max-age=5", "public, max-age=5"),
        (Caller("a", "oidc"), None, "private, no-cache"),
        (ANYBODY, "no-cache", "no-cache"),
        (None, None, None),
    ],
)
def test_what_a_login_shows_is_private(caller, held, expected):
    response = Response(headers={"Cache-Control": held} if held else {})
    found = hardened(response, {"dicomweb_gateway.caller": caller})
    assert found.get("Cache-Control") == expected


@pytest.mark.parametrize(
    "kind", ["text/html", "image/svg+xml", "application/xml", "application/xhtml+xml; charset=x"]
)
def test_what_could_run_scripts_runs_none(kind):
    found = hardened(Response("x", content_type=kind))
    assert found["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_what_a_route_says_itself_stays():
    found = hardened(Response(headers={"Referrer-Policy": "origin", "Content-Security-Policy": "x"}))
    assert (found["Referrer-Policy"], found["Content-Security-Policy"]) == ("origin", "x")
