"""Absolute links (dicomweb.md C-8, V-6)."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.services import WebConfig

PROXY = ("10.0.0.0/8", "::1")
FORWARDED = {
    "X-Forwarded-Host": "pacs.example.org",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/img/",
}

LINKS = [
    ("Host", {}, {}, "http://gw.example.org:8080/aetitle"),
    (
        "V-6 Host without port is completed",
        {"Host": "gw.example.org"},
        {},
        "http://gw.example.org:8080/aetitle",
    ),
    ("V-6 IPv6 literal without port", {"Host": "[2001:db8::1]"}, {}, "http://[2001:db8::1]:8080/aetitle"),
    (
        "V-6 the scheme's own port stays away",
        {"Host": "gw.example.org"},
        {"port": 80},
        "http://gw.example.org/aetitle",
    ),
    ("IPv6 literal with port", {"Host": "[::1]:8080"}, {}, "http://[::1]:8080/aetitle"),
    (
        "PUBLIC_URL wins",
        FORWARDED,
        {"public_url": "https://x.org/a/", "trusted_proxies": PROXY},
        "https://x.org/a/aetitle",
    ),
    ("forwarding is not believed", FORWARDED, {}, "http://gw.example.org:8080/aetitle"),
    ("X-Forwarded", FORWARDED, {"trusted_proxies": PROXY}, "https://pacs.example.org/img/aetitle"),
    (
        "X-Forwarded with several hops: the first",
        {"X-Forwarded-Host": "outer.org, inner.org", "X-Forwarded-Proto": "https, http"},
        {"trusted_proxies": PROXY},
        "https://outer.org/aetitle",
    ),
    (
        "Forwarded",
        {"Forwarded": 'for=1.2.3.4;proto=https;host="a.org:444", for=10.0.0.1;host=b.org'},
        {"trusted_proxies": PROXY},
        "https://a.org:444/aetitle",
    ),
    (
        "Forwarded beats X-Forwarded",
        {**FORWARDED, "Forwarded": "Host=a.org"},
        {"trusted_proxies": PROXY},
        "https://a.org/img/aetitle",
    ),
    (
        "a prefix without slashes of its own",
        {**FORWARDED, "X-Forwarded-Prefix": "img"},
        {"trusted_proxies": PROXY},
        "https://pacs.example.org/img/aetitle",
    ),
    (
        "schemes in any case, none but HTTP's",
        {"Forwarded": "host=a.org;proto=HTTPS", "X-Forwarded-Prefix": "/"},
        {"trusted_proxies": PROXY},
        "https://a.org/aetitle",
    ),
    (
        "a scheme that is not HTTP's is not believed",
        {**FORWARDED, "X-Forwarded-Proto": "javascript"},
        {"trusted_proxies": PROXY},
        "http://pacs.example.org/img/aetitle",
    ),
    (
        "a host that is none is not believed",
        {**FORWARDED, "X-Forwarded-Host": 'evil.org/"><b>'},
        {"trusted_proxies": PROXY},
        "https://gw.example.org:8080/img/aetitle",
    ),
    (
        "a prefix that is no path is not believed",
        {**FORWARDED, "X-Forwarded-Prefix": '/a"><b>'},
        {"trusted_proxies": PROXY},
        "https://pacs.example.org/aetitle",
    ),
    ("trusted, nothing forwarded", {}, {"trusted_proxies": PROXY}, "http://gw.example.org:8080/aetitle"),
]


def config(**more):
    return WebConfig(
        **{
            "ae_paths": ("/aetitle", "/dicomweb"),
            "public_url": None,
            "port": 8080,
            "boundary_key": b"k",
            **more,
        }
    )


def request(path="/aetitle/studies", peer="10.1.2.3", **headers):
    headers = {"Host": "gw.example.org:8080", **headers}
    builder = EnvironBuilder(path, headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    return Request(builder.get_environ())


@pytest.mark.parametrize(
    ("headers", "settings", "expected"), [row[1:] for row in LINKS], ids=[row[0] for row in LINKS]
)
def test_base_url(headers, settings, expected):
    assert base_url(request(**headers), config(**settings)) == expected


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/dicomweb/studies", "/dicomweb"),
        ("/dicomweb", "/dicomweb"),
        ("/dicomwebs", "/aetitle"),
        ("/", "/aetitle"),
    ],
)
def test_links_stay_below_the_base_path_that_was_used(path, base):
    assert base_url(request(path), config()) == f"http://gw.example.org:8080{base}"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("10.9.9.9", True), ("11.0.0.1", False), ("::1", True), ("", False), (None, False), ("unix:", False)],
)
def test_trusted_peers(peer, expected):
    assert is_trusted(peer, PROXY) is expected


@pytest.mark.parametrize("paths", [("/a", "/a/b"), ("/a/b", "/a")])
@pytest.mark.parametrize(("path", "base"), [("/a/b/studies", "/a/b"), ("/a/studies", "/a"), ("/a/bc", "/a")])
def test_a_base_path_beneath_another_is_told_from_it(paths, path, base):
    request = Request(EnvironBuilder(path=path).get_environ())
    config = WebConfig(ae_paths=paths, public_url="http://gw", port=80, boundary_key=b"")
    assert base_url(request, config) == f"http://gw{base}"
