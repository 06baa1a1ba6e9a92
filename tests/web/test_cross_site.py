"""What changes something comes from a page of ours, or from who has more than a browser adds by itself."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.access.operations import READING, Operation
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.errors import CrossSite
from dicomweb_gateway.index.sessions import SessionRow
from dicomweb_gateway.web.cross_site import check_changes
from dicomweb_gateway.web.services import WebConfig

ANNA = Caller("anna", "basic")
SESSION = Session(ANNA, "", "", "t0ken", SessionRow("d", "o", "c", 0, 0, 0))
OWN = "https://gw.example.org"


def passes(caller=ANNA, session=None, method="POST", operation=Operation.IMPORT, origins=(), **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    built = EnvironBuilder("/a", method=method, base_url="http://gw.example.org", headers=headers)
    request = Request(built.get_environ())
    config = WebConfig(("/a",), OWN, 80, b"k", cors_origins=origins)
    try:
        check_changes(request, operation, caller, session, config)
    except CrossSite:
        return False
    return True


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("operation", [Operation.IMPORT, Operation.ADMIN, Operation.ENTER])
def test_a_session_needs_its_token(method, operation):
    asked = {"session": SESSION, "method": method, "operation": operation}
    assert passes(**asked, X_CSRF_Token="t0ken", Origin=OWN)
    assert passes(**asked, X_CSRF_Token="t0ken")
    assert passes(
        **asked, X_CSRF_Token="t0ken", Origin="https://GW.example.org", Content_Type="application/json"
    )
    assert passes(**asked, X_CSRF_Token="t0ken", Origin="null", Sec_Fetch_Site="same-origin")
    for wrong in (
        {"Origin": OWN},
        {"X_CSRF_Token": "other", "Origin": OWN},
        {"X_CSRF_Token": "tökeñ".encode().decode("latin-1"), "Origin": OWN},
        {"X_CSRF_Token": "t0ken", "Origin": "https://evil.example.org"},
        {"X_CSRF_Token": "t0ken", "Origin": "http://gw.example.org"},
        {"X_CSRF_Token": "t0ken", "Origin": "null"},
        {"X_CSRF_Token": "t0ken", "Origin": "https://gw.example.org.evil.org"},
        {"X_CSRF_Token": "t0ken", "Origin": "https://gw.example.org:8443"},
        {"X_CSRF_Token": "t0ken", "Sec_Fetch_Site": "cross-site"},
        {"X_CSRF_Token": "t0ken", "Origin": "null", "Sec_Fetch_Site": "cross-site"},
        {"X_CSRF_Token": "t0ken", "Sec_Fetch_Site": "same-site"},
    ):
        assert not passes(**asked, **wrong), wrong


@pytest.mark.parametrize("operation", READING)
def test_reading_changes_nothing(operation):
    assert passes(session=SESSION, operation=operation, Origin="https://evil.example.org")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_neither_do_safe_methods(method):
    assert passes(session=SESSION, method=method, Origin="https://evil.example.org")


@pytest.mark.parametrize("mode", ["basic", "proxy", "admin", "none"])
@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=x"]
)
def test_what_browsers_add_by_themselves_proves_nothing(mode, kind):
    caller = Caller("anna", mode)
    assert passes(caller, Content_Type=kind)
    assert passes(caller, Content_Type=kind, Origin=OWN)
    assert not passes(caller, Content_Type=kind, Origin="https://evil.example.org")
    assert not passes(caller, Content_Type=kind, Sec_Fetch_Site="cross-site")
    listed = ("https://viewer.example.org",)
    assert passes(caller, origins=listed, Content_Type=kind, Origin=listed[0])
    assert not passes(caller, origins=("*",), Content_Type=kind, Origin="https://evil.example.org")


def test_what_browsers_ask_before_is_decided_there():
    assert passes(Content_Type="multipart/related; type=x", Origin="https://viewer.example.org")
    assert passes(ANYBODY, Content_Type="application/json", Origin="https://viewer.example.org")


def test_pages_of_this_machine_are_no_strangers_where_no_login_is_asked():
    assert passes(ANYBODY, Origin="http://localhost:3000")
    assert not passes(ANNA, Origin="http://localhost:3000")


@pytest.mark.parametrize("mode", ["oidc", "token"])
def test_tokens_prove_it_all(mode):
    assert passes(Caller("anna", mode), Origin="https://anything.example.org")
