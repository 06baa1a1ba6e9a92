"""Origins are compared in one form, and what is none is refused (dicomweb.md H-1)."""

import pytest

from dicomweb_gateway.access.origins import is_listed, is_loopback_origin, listed_origin, normal_origin


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("*", "*"),
        ("https://ohif.example.org", "https://ohif.example.org"),
        ("HTTPS://OHIF.Example.org:443", "https://ohif.example.org"),
        ("http://a:80", "http://a"),
        ("http://a:08080", "http://a:8080"),
        ("https://*.example.org:8443", "https://*.example.org:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_normal_form(text, normal):
    assert listed_origin(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "ohif.example.org",
        "https://ohif.example.org/",
        "https://a/b",
        "https://*",
        "https://a.*.org",
        "https://*a.org",
        "null",
        "https://user@a",
        "http://a:99999",
        "https://a,b",
        "",
    ],
)
def test_what_is_no_origin_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="is no origin"):
        listed_origin(text)


@pytest.mark.parametrize(
    ("origin", "listed", "allowed"),
    [
        ("https://a.org", ("https://a.org",), True),
        ("https://A.org:443", ("https://a.org",), True),
        ("http://a.org", ("https://a.org",), False),
        ("https://a.org:444", ("https://a.org",), False),
        ("https://a.org.evil.org", ("https://a.org",), False),
        ("https://x.a.org", ("https://*.a.org",), True),
        ("https://a.org", ("https://*.a.org",), False),
        ("https://y.x.a.org", ("https://*.a.org",), False),
        ("https://evila.org", ("https://*.a.org",), False),
        ("https://*.a.org", ("https://*.a.org",), False),
        ("https://x.a.org:444", ("https://*.a.org",), False),
        ("null", ("https://a.org",), False),
        ("https://a.org\r\nX: y", ("https://a.org",), False),
        ("anything", ("*",), True),
    ],
)
def test_who_is_listed(origin, listed, allowed):
    assert is_listed(origin, listed) is allowed


@pytest.mark.parametrize(
    ("origin", "loops"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.2", True),
        ("http://localhost.evil.org", False),
        ("x", False),
    ],
)
def test_loopback(origin, loops):
    assert is_loopback_origin(origin) is loops


def test_an_origin_header_is_one_origin():
    assert normal_origin("http://A:80") == "http://a"
    assert normal_origin("http://a http://b") is None
