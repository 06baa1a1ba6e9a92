"""After the login a browser goes to an address of ours, whatever it was told."""

import pytest

from dicomweb_gateway.access.own_paths import own_path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/pages/studies",
        "/pages/stack?study=1.2.3&series=4",
        "/status",
        "/viewer/viewer?StudyInstanceUIDs=1",
        "/pages/studies?PatientName=M%C3%BCller*",
        "/loginless",
        "/pages/",
        "/pages/a?next=//evil.org",
        "/pages/a?next=/../x",
        "/a..b/.well-known/...",
    ],
)
def test_own_addresses_stay(path):
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "//evil.org",
        "///evil.org",
        "/\\evil.org",
        "\\\\evil.org",
        "https://evil.org",
        "javascript:alert(1)",
        "/\t/evil.org",
        "/\n/evil.org",
        " /",
        "/ /evil.org",
        "/a\r\nSet-Cookie: x=1",
        "/.//evil.org",
        "/a//b",
        "/login",
        "/login?next=/login",
        "/logout",
        "/LOGOUT",
        "/login/provider",
        "/a#b",
        "/ä",
        "/" + "a" * 2000,
        "/%0a\x00",
        "?x",
        "/a?b c",
        "/../other",
        "/a/../../other",
        "/a/%2E%2e/other?x",
        "/.%2e",
        "/./login",
        "/a/..?x=1",
    ],
)
def test_anything_else_is_the_start(path):
    assert own_path(path) == "/"


@pytest.mark.parametrize("part", ["a", "a/", "/", "%2f", "a?"])
def test_it_ends_soon_with_what_almost_fits(part):
    assert own_path(f"/{part * (1900 // len(part))}\\") == "/"
