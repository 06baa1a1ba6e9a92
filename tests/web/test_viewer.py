"""OHIF's configuration and the policy of its page."""

import json
from base64 import b64encode
from hashlib import sha256

import pytest

from dicomweb_gateway.web.viewer import ViewerLogin, configuration, mount_of, page_headers
from tests.web.ohif_files import PAGE

LOGIN = ViewerLogin("https://login.example.org/realms/imaging", "ohif", ("openid", "imaging"))


def read(script: bytes) -> dict:
    assert script.startswith(b"window.config = ")
    return json.loads(script.removeprefix(b"window.config = ").rstrip().removesuffix(b";"))


@pytest.mark.parametrize(
    ("root", "mount"),
    [
        ("https://pacs.example.org", "/viewer"),
        ("https://pacs.example.org/imaging/", "/imaging/viewer"),
        ('https://pacs.example.org/"><script>', "/viewer"),
        ("http://h/a'b", "/viewer"),
    ],
)
def test_where_the_viewer_is(root, mount):
    assert mount_of(root) == mount


def test_every_base_path_is_a_data_source():
    config = read(configuration("https://pacs.example.org/imaging", ("/aetitle", "/research/ct")))
    assert config["routerBasename"] == "/imaging/viewer"
    roots = {s["sourceName"]: s["configuration"]["wadoRoot"] for s in config["dataSources"]}
    assert roots == {
        "aetitle": "https://pacs.example.org/imaging/aetitle",
        "research-ct": "https://pacs.example.org/imaging/research/ct",
    }
    assert config["defaultDataSourceName"] == "aetitle"
    assert "oidc" not in config


def test_the_login_is_a_code_flow_without_a_secret():
    (login,) = read(configuration("https://pacs.example.org", ("/aetitle",), LOGIN))["oidc"]
    assert (login["authority"], login["client_id"]) == (LOGIN.issuer, "ohif")
    assert (login["response_type"], login["scope"]) == ("code", "openid imaging")
    assert "client_secret" not in login
    # OHIF takes the path of this address for one of its own, and must have no page there
    assert login["post_logout_redirect_uri"] not in ("/", "/viewer", "/callback")


def test_only_the_scripts_of_the_page_run():
    policy = page_headers(PAGE.encode(), None)["Content-Security-Policy"]
    digest = b64encode(sha256(b'window.PUBLIC_URL="/"').digest()).decode()
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert f"'sha256-{digest}'" in scripts
    assert "'unsafe-inline'" not in scripts
    assert "https:" not in policy


def test_without_a_provider_the_page_is_isolated():
    assert page_headers(b"", None)["Cross-Origin-Embedder-Policy"] == "require-corp"
    with_login = page_headers(b"", LOGIN)
    assert "Cross-Origin-Embedder-Policy" not in with_login
    assert "https://login.example.org" in with_login["Content-Security-Policy"]
