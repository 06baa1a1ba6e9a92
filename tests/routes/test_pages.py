"""The pages' frame: what it shows to whom, its policy, its files."""

import re
from dataclasses import replace

import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.web.static_files import own_files
from tests.routes.callers import lock


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    return lock(tmp_path_factory.mktemp("pages"))


def page(locked, path, caller=None):
    headers = {} if caller is None else {"token": locked.tokens[caller]}
    return locked.app.test_client().get(path, headers=headers)


def links(response):
    return set(re.findall(r'href="([^"]*)"', response.get_data(as_text=True))) - {"#main"}


def test_a_page_has_no_inline_code_and_speaks_to_this_gateway_alone(house):
    for path in ("/", "/pages/account"):
        found = house.app.test_client().get(path)
        assert found.status_code == 200
        policy = dict(part.split(" ", 1) for part in found.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert found.headers["X-Frame-Options"] == "DENY"
        assert found.headers["Cache-Control"] == "no-store"
        text = found.get_data(as_text=True)
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text)
        for landmark in ('<html lang="en"', '<main id="main"', "<h1", 'href="#main"', "<nav aria-label="):
            assert landmark in text


def test_every_file_that_a_page_names_is_there_for_good(house):
    client = house.app.test_client()
    found = client.get("/pages/account")
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', found.get_data(as_text=True))
    assert {name.rpartition("/")[2] for name in named} >= {"frame.css", "frame.js", "account.js", "icon.svg"}
    for name in named:
        file = client.get(name)
        assert file.status_code == 200
        assert "immutable" in file.headers["Cache-Control"]
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        again = client.get(name, headers={"If-None-Match": file.headers["ETag"]})
        assert (again.status_code, again.get_data()) == (304, b"")


def test_files_are_packed_and_those_of_another_version_not_kept(house):
    client = house.app.test_client()
    plain = client.get(own_files().address("frame.css"))
    packed = client.get(own_files().address("frame.css"), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.get_data()) < len(plain.get_data())
    assert "Accept-Encoding" in plain.vary
    old = client.get("/static/0123/frame.css")
    assert old.get_data() == plain.get_data()
    assert "immutable" not in old.headers["Cache-Control"]
    for name in ("pages/account.html", "nothing.js", "..%2fapp.py", "%2e%2e/app.py"):
        assert client.get(f"/static/{own_files().digest}/{name}").status_code in (400, 404)


def test_nobody_who_is_not_known_is_shown_anything(locked):
    home = page(locked, "/")
    assert home.status_code == 200
    text = home.get_data(as_text=True)
    assert "data-known" not in text
    assert 'data-bases=""' in text
    assert "/aetitle</code>" not in text
    assert {link for link in links(home) if not link.startswith("/static/")} == {"/"}
    for path in ("/pages/account", "/session", "/pages/nothing"):
        assert page(locked, path).status_code == 401


def test_navigation_shows_what_the_caller_may(locked, house):
    everything = links(house.app.test_client().get("/"))
    assert "/status" in everything
    assert 'data-may="search retrieve rendered' in house.app.test_client().get("/").get_data(as_text=True)
    assert "/pages/account" not in everything
    known = links(page(locked, "/", "all"))
    assert {"/viewer", "/pages/account", "/aetitle/studies?limit=25", "/status"} <= known
    assert "/status" not in links(page(locked, "/", "ct"))
    assert "/viewer" not in links(page(locked, "/", "importer"))
    assert page(locked, "/pages/nothing", "all").status_code == 404
    assert 'aria-current="page"' in page(locked, "/pages/account", "all").get_data(as_text=True)


def test_who_asks_is_told_to_scripts(locked, house):
    told = page(locked, "/session", "searcher").get_json()
    assert told == {
        "user": "caller 7",
        "login": "token",
        "groups": ["searcher"],
        "may": ["search"],
        "paths": ["/aetitle", "/dicomweb"],
        "edits": False,
        "session": None,
    }
    open_to_all = house.app.test_client().get("/session")
    assert open_to_all.get_json()["user"] == ""
    assert "admin" in open_to_all.get_json()["may"]
    assert open_to_all.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("caller", "paths"),
    [
        ("all", ["/aetitle", "/dicomweb"]),
        ("ct", ["/aetitle", "/dicomweb"]),
        ("second path", ["/dicomweb"]),
        ("without a rule", []),
    ],
)
def test_base_paths_are_told_to_those_whom_a_rule_grants_something_there(locked, caller, paths):
    assert page(locked, "/session", caller).get_json()["paths"] == paths
    home = page(locked, "/", caller).get_data(as_text=True)
    assert f'data-bases="{" ".join(paths)}"' in home
    config = page(locked, "/viewer/app-config.js", caller).get_data(as_text=True)
    for path in ("/aetitle", "/dicomweb"):
        assert (f"{path}</code>" in home) is (path in paths)
        assert (f'{path}"' in config) is (path in paths)


def test_a_proxys_prefix_is_in_front_of_every_address(house):
    config = replace(house.services.config, public_url="https://pacs.example.org/imaging")
    client = create_app(replace(house.services, config=config, ready=None)).test_client()
    found = client.get("/pages/account")
    assert 'data-root="/imaging"' in found.get_data(as_text=True)
    assert all(link.startswith("/imaging/") for link in links(found))
