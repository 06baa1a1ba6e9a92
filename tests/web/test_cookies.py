"""Which cookies are ours: by the name that fits how the browser came, once, and by nothing else."""

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.cookies import SESSION, cookie, set_cookie
from dicomweb_gateway.web.identity_keys import REPEATED
from dicomweb_gateway.web.services import WebConfig

TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example.org"}


def asked(root="http://localhost:8080", header="", extra=None, **headers):
    built = EnvironBuilder("/a", base_url=root, headers={**headers, **({"Cookie": header} if header else {})})
    environ = {**built.get_environ(), "REMOTE_ADDR": "10.0.0.1", **(extra or {})}
    return Request(environ)


def config(**more):
    return WebConfig(**{"ae_paths": ("/a",), "public_url": None, "port": 8080, "boundary_key": b"k", **more})


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("http://localhost:8080", "dicomweb-session-8080"),
        ("http://127.0.0.1:9", "dicomweb-session-9"),
        ("http://[::1]:9", "dicomweb-session-9"),
        ("http://a.localhost:9", "dicomweb-session-9"),
        ("http://LOCALHOST:9", "dicomweb-session-9"),
        ("https://localhost:9", "__Host-dicomweb-session"),
        ("https://pacs.example.org/imaging", "__Host-dicomweb-session-imaging"),
        ("https://pacs.example.org/a/b/", "__Host-dicomweb-session-a-b"),
        ("http://localhost:9/imaging", "dicomweb-session-imaging-9"),
    ],
)
def test_a_cookie_comes_back_by_its_own_name(root, name):
    public = config(public_url=root)
    response = Response()
    set_cookie(asked(), response, public, SESSION, "value")
    told = response.headers["Set-Cookie"]
    assert told.startswith(f"{name}=value;")
    assert ("Secure" in told) is root.startswith("https")
    assert "Domain" not in told
    assert cookie(asked(header=f"x=y; {name}=value"), public, SESSION) == "value"
    set_cookie(asked(), response, public, SESSION, "")
    assert "Max-Age=0" in response.headers.getlist("Set-Cookie")[1]


@pytest.mark.parametrize(
    "root", ["http://pacs", "http://10.0.0.1", "http://localhost.evil.org", "http://evil:8080"]
)
def test_no_cookie_goes_over_an_open_network(root):
    public = config(public_url=root)
    with pytest.raises(InvalidRequest, match="https"):
        set_cookie(asked(), Response(), public, SESSION, "value")
    for name in (
        "__Host-dicomweb-session",
        "dicomweb-session-80",
        "dicomweb-session-8080",
        "dicomweb-session",
    ):
        assert cookie(asked(header=f"{name}=value"), public, SESSION) == ""


def test_a_proxy_that_is_trusted_says_how_the_browser_came():
    header = "__Host-dicomweb-session=value"
    assert cookie(asked(header=header, **TLS), config(trusted_proxies=("10.0.0.1",)), SESSION) == "value"
    assert cookie(asked(header=header, **TLS), config(), SESSION) == ""
    plain = "dicomweb-session-8080=value"
    assert cookie(asked(header=plain, **TLS), config(trusted_proxies=("10.0.0.1",)), SESSION) == ""
    assert cookie(asked(header=plain), config(), SESSION) == "value"


def test_gateways_at_several_paths_of_a_site_leave_each_other_alone():
    header = "__Host-dicomweb-session=a; __Host-dicomweb-session-imaging=b"
    for root, value in (
        ("https://pacs.org", "a"),
        ("https://pacs.org/imaging", "b"),
        ("https://pacs.org/x", ""),
    ):
        assert cookie(asked(header=header), config(public_url=root), SESSION) == value


def test_a_proxy_that_hides_itself_is_not_taken_for_this_machine():
    """nginx sends the upstream's own name as Host unless it is told otherwise."""
    hidden = asked(root="http://127.0.0.1:8080", Origin="https://pacs.example.org")
    with pytest.raises(InvalidRequest, match="TRUSTED_PROXIES"):
        set_cookie(hidden, Response(), config(), SESSION, "value")
    told = config(public_url="https://pacs.example.org")
    response = Response()
    set_cookie(hidden, response, told, SESSION, "value")
    assert "Secure" in response.headers["Set-Cookie"]
    set_cookie(asked(Origin="http://localhost:8080"), response, config(), SESSION, "value")


def test_what_came_twice_is_nobodys():
    twice = "dicomweb-session-8080=a; dicomweb-session-8080=b"
    assert cookie(asked(header=twice), config(), SESSION) == ""
    lines = {REPEATED: frozenset({"HTTP_COOKIE"})}
    assert cookie(asked(header="dicomweb-session-8080=a", extra=lines), config(), SESSION) == ""
