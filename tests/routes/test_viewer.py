"""OHIF at /viewer: without a login, with the right types, and with this gateway in its configuration."""

from dataclasses import replace

import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.web.viewer import Viewer
from dicomweb_gateway.web.viewer_files import ViewerFiles
from tests.routes.callers import lock
from tests.web.ohif_files import FILES, write_ohif

SCRIPT = "/viewer/app.bundle.0123456789abcdef.js"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Of a gateway that asks for a login."""
    return lock(tmp_path_factory.mktemp("viewer")).app.test_client()


def test_the_page_and_its_addresses(client):
    page = client.get("/viewer")
    assert page.status_code == 200
    assert page.content_type == "text/html; charset=utf-8"
    assert b'src="/viewer/app-config.js"' in page.get_data()
    for address in ("/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2.3", "/viewer/callback?code=x"):
        assert client.get(address).get_data() == page.get_data()
    assert "no-cache" in page.headers["Cache-Control"]
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


def test_files_with_hashed_names_are_kept_for_good(client):
    script = client.get(SCRIPT, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in script.vary
    plain = client.get(SCRIPT)
    assert "Content-Encoding" not in plain.headers
    assert b'p = "/viewer/"' in plain.get_data()
    assert len(plain.get_data()) == int(plain.headers["Content-Length"])
    assert "immutable" not in client.get("/viewer/app.bundle.css").headers["Cache-Control"]


def test_binary_files_go_out_as_they_are(client):
    found = client.get("/viewer/0123456789abcdef.wasm", buffered=True)
    assert found.content_type == "application/wasm"
    assert found.get_data() == FILES["0123456789abcdef.wasm"].encode()
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    head = client.head("/viewer/0123456789abcdef.wasm")
    assert head.headers["Content-Length"] == str(len(found.get_data()))


@pytest.mark.parametrize("address", ["/viewer", SCRIPT, "/viewer/assets/icon.png"])
def test_what_the_browser_holds_is_not_sent_again(client, address):
    first = client.get(address, buffered=True)
    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "address",
    [
        "/viewer/missing.js",
        "/viewer/.hidden",
        "/viewer/..%2f..%2frules.toml",
        "/viewer/%2e%2e/%2e%2e/rules.toml",
        "/viewer/assets/..%2f..%2f..%2frules.toml",
        "/viewer//etc/hosts.allow",
        "/viewer/app.bundle.0123456789abcdef.js.map",
    ],
)
def test_other_files_are_not_there(client, address):
    assert client.get(address).status_code in (400, 401, 404)
    assert b"groups" not in client.get(address).get_data()


def test_the_configuration_names_this_gateway(client):
    config = client.get("/viewer/app-config.js")
    assert config.content_type == "text/javascript; charset=utf-8"
    assert config.headers["Cache-Control"] == "no-store"
    assert b'"http://gw:1/aetitle"' in config.get_data()


def test_who_has_logged_out_is_not_logged_in_again(client):
    page = client.get("/viewer/signed-out")
    assert b'href="/viewer"' in page.get_data()
    assert b"script" not in page.get_data()


def test_a_gateway_without_ohif_has_no_viewer(house):
    assert house.app.test_client().get("/viewer").status_code == 404
    assert b'href="/viewer"' not in house.app.test_client().get("/").get_data()


def test_the_home_page_leads_those_who_are_known_to_the_viewer(tmp_path):
    locked = lock(tmp_path)
    client = locked.app.test_client()
    assert b'href="/viewer"' not in client.get("/").get_data()
    assert b'href="/viewer"' in client.get("/", headers={"token": locked.tokens["all"]}).get_data()


def test_a_proxys_prefix_is_in_front_of_everything(house, tmp_path):
    viewer = Viewer(ViewerFiles(write_ohif(tmp_path) / "dist"))
    config = replace(house.services.config, public_url="https://pacs.example.org/imaging")
    client = create_app(replace(house.services, viewer=viewer, config=config, ready=None)).test_client()
    assert b'src="/imaging/viewer/app-config.js"' in client.get("/viewer").get_data()
    told = client.get("/viewer/app-config.js").get_data()
    assert b'"routerBasename": "/imaging/viewer"' in told
