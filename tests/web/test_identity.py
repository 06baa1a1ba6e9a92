"""What a request tells of who sends it, and that tokens go no further."""

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.caller import ANYBODY
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.tokens import StaticTokens
from dicomweb_gateway.errors import Unauthenticated
from dicomweb_gateway.web.client import address_of, known_caller
from dicomweb_gateway.web.identity import (
    REPEATED,
    identify,
    keep_private,
    presented_by,
    without_query_tokens,
)
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig

PROXY_HEADERS = ("X-Forwarded-User", "X-Forwarded-Groups")


def config(**more):
    own = {"ae_paths": ("/aetitle", "/rs"), "public_url": None, "port": 8080, "boundary_key": b"k"}
    return WebConfig(**{**own, **more})


def request(path="/aetitle/studies", method="GET", query="", peer="10.0.0.1", extra=None, **headers):
    environ = EnvironBuilder(path, method=method, query_string=query).get_environ()
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return Request({**environ, "REMOTE_ADDR": peer, "REQUEST_URI": f"{path}?{query}", **(extra or {})})


def stripped(query, **more):
    seen = {}

    def inner(environ, _start):
        seen.update(environ)
        return []

    without_query_tokens(inner)(request(query=query).environ, None)
    presented = presented_by(Request(seen), config(**more))
    return presented.query_tokens, seen["QUERY_STRING"], seen["REQUEST_URI"]


@pytest.mark.parametrize(
    ("query", "tokens", "rest"),
    [
        ("token=abc", ("abc",), ""),
        ("limit=3&token=abc", ("abc",), "limit=3"),
        ("token=abc&PatientName=A%20B&limit=3", ("abc",), "PatientName=A%20B&limit=3"),
        ("%74oken=a%2Fb%2B+%3D", ("a/b++=",), ""),
        ("token=a&token=b", ("a", "b"), ""),
        ("token=", ("",), ""),
        ("token=a%0d%0ab", ("a\r\nb",), ""),
        ("token=%ff", ("\ufffd",), ""),
        ("token", (), "token"),
        ("Token=a", (), "Token=a"),
        ("mytoken=a", (), "mytoken=a"),
        ("limit=3", (), "limit=3"),
        ("", (), ""),
    ],
)
def test_tokens_are_taken_out_of_the_query(query, tokens, rest):
    found, left, uri = stripped(query)
    assert (found, left) == (tokens, rest)
    assert uri == (f"/aetitle/studies?{rest}" if rest or not tokens else "/aetitle/studies")


def test_where_query_tokens_are_switched_off_they_are_taken_out_all_the_same():
    assert stripped("limit=3&token=abc", query_token=False) == ((), "limit=3", "/aetitle/studies?limit=3")


def test_what_a_request_presents():
    found = presented_by(
        request(
            authorization="Bearer a",
            token="b",
            x_forwarded_user="anna",
            x_forwarded_groups="x",
            x_forwarded_for="1.2.3.4",
        ),
        config(proxy_headers=PROXY_HEADERS, trusted_proxies=("10.0.0.0/8",)),
    )
    assert (found.peer, found.client) == ("10.0.0.1", "1.2.3.4")
    assert (found.authorization, found.token_header, found.query_tokens) == ("Bearer a", "b", ())
    assert (found.proxy_user, found.proxy_groups, found.repeated) == ("anna", "x", False)


def test_without_that_login_the_proxys_headers_are_not_read():
    found = presented_by(request(x_forwarded_user="anna", extra={"HTTP_": "x"}), config())
    assert (found.proxy_user, found.proxy_groups) == ("", "")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("HTTP_AUTHORIZATION", True),
        ("HTTP_TOKEN", True),
        ("HTTP_X_FORWARDED_USER", True),
        ("HTTP_X_FORWARDED_GROUPS", True),
        ("HTTP_ACCEPT", False),
    ],
)
def test_repeated_headers(name, counts):
    asked = request(extra={REPEATED: frozenset({name})})
    assert presented_by(asked, config(proxy_headers=PROXY_HEADERS)).repeated is counts


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        ("1.1.1.1", "9.9.9.9", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "8.8.8.8, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "8.8.8.8, ,", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "9" * 5000, "10.0.0.1"),
    ],
)
def test_where_a_request_comes_from(peer, told, address):
    found = address_of(
        request(peer=peer, x_forwarded_for=told).environ, config(trusted_proxies=("10.0.0.0/8",))
    )
    assert found == address


def services(authenticator, **more):
    unused = object()
    return Services(config(**more), unused, unused, HealthReport, authenticator=authenticator)


def test_who_asks_is_noted(tmp_path):
    asked = request()
    identify(asked, services(Authenticator()))
    assert known_caller(asked.environ) is ANYBODY
    locked = services(Authenticator(tokens=StaticTokens(tmp_path / "none")))
    assert known_caller(request().environ) is None
    with pytest.raises(Unauthenticated):
        identify(request(), locked)


@pytest.mark.parametrize(
    ("query", "kept", "expected"),
    [
        ("token=abc", "public, max-age=9, immutable", "private, no-cache"),
        ("token=abc", "private, max-age=9, immutable", "private, max-age=9, immutable"),
        ("token=abc", "no-store", "no-store"),
        ("token=abc", "no-cache", "private, no-cache"),
        ("token=abc", None, "private, no-cache"),
        ("limit=1", "no-cache", "no-cache"),
    ],
)
def test_answers_are_kept_for_nobody_else(query, kept, expected):
    locked = services(Authenticator(proxy=ProxyLogin(("10.0.0.1",))), proxy_headers=PROXY_HEADERS)
    asked, response = request(query=query), Response()
    if kept:
        response.headers["Cache-Control"] = kept
    without_query_tokens(lambda *_: [])(asked.environ, None)
    keep_private(asked, response, locked)
    assert response.headers["Cache-Control"] == expected
    assert ("Referrer-Policy" in response.headers) is query.startswith("token")
    assert {"authorization", "token", "x-forwarded-user", "x-forwarded-groups"} <= set(response.vary.as_set())


def test_without_a_login_answers_are_as_they_were():
    response = Response()
    keep_private(request(), response, services(Authenticator()))
    assert "Vary" not in response.headers
