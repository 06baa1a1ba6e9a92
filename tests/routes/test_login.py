"""Every address asks for a login, whichever way it is answered and whatever is wrong with the request."""

import logging
from base64 import b64encode
from dataclasses import replace

import pytest

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.access.users import set_user
from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import LoginUnavailable
from dicomweb_gateway.web.identity import CALLER
from tests.routes.archive import CT, STORE, STUDY, build, hex_id, path_of

FRAME = f"{path_of(CT, 1)}/frames/1"
TLM = f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame?imageFrameId="
TLM += hex_id("frame", CT, 1, 1)


class Gate:
    def __init__(self, folder):
        self.token = add_token(folder / "t", "ct", (), (), None)
        set_user(folder / "u", "anna", "correct horse", ())
        self.house = build(
            folder,
            host_rule_on=False,
            proxy_headers=("X-Forwarded-User", "X-Forwarded-Groups"),
            cors_origins=("https://viewer.example.org",),
        )
        self.services = replace(
            self.house.services,
            authenticator=Authenticator(
                None, StaticTokens(folder / "t"), BasicLogin(folder / "u"), ProxyLogin(("10.0.0.1",))
            ),
        )
        self.app = create_app(self.services)
        self.client = self.app.test_client()

    def get(self, path, method="GET", peer="127.0.0.1", **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(path, method=method, headers=given, environ_base={"REMOTE_ADDR": peer})


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return Gate(tmp_path_factory.mktemp("gate"))


def addresses(app):
    """An address of every rule that the app has."""
    values = {
        "study": STUDY,
        "series": CT,
        "instance": f"{CT}.1",
        "frames": "1",
        "frame_list": "1",
        "datastore_id": STORE,
        "image_set_id": hex_id("set", CT),
        "tag": "7FE00010",
        "path": "7FE00010",
        "file": "frame.css",
    }
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            for converter in ("", "path:", "int:"):
                path = path.replace(f"<{converter}{name}>", values.get(name, "1"))
        yield path, sorted(rule.methods - {"OPTIONS"})


PUBLIC = {
    *("/", "/health", "/healthcheck", "/aetitle/health", "/dicomweb/health"),
    *("/static/1/frame.css", "/dictionary"),
}


def test_every_address_asks_for_a_login(gate):
    count = 0
    for path, methods in addresses(gate.app):
        assert "<" not in path
        if path.startswith("/log"):
            # there is no login for browsers here, and nothing more to tell
            assert gate.get(path).status_code in (200, 404, 401)
            continue
        for method in {*methods, "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"}:
            answer = gate.get(path, method)
            open_to_all = path in PUBLIC and method in ("GET", "HEAD")
            assert (answer.status_code == 401) is not open_to_all, (method, path)
            assert gate.get(path, method, token=gate.token).status_code != 401
            count += 1
    assert count > 100


@pytest.mark.parametrize(
    "path", ["/nowhere", "/aetitle/nonsense", "/datastore", "/AETITLE/studies", "/aetitle//studies"]
)
def test_so_do_addresses_that_are_none(gate, path):
    assert gate.get(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/health/../aetitle/studies",
        "/health/%2e%2e/aetitle/studies",
        "/healthcheck/..;/aetitle/studies",
        "/aetitle/health/../studies",
        "/./aetitle/studies",
        "/%61etitle/studies",
        "/aetitle/studies%2f",
        "/aetitle/studies?x=/health",
        "/aetitle/studies#/health",
        "/aetitle/studies/%D9%A1",
        "/aetitle\\studies",
    ],
)
def test_no_spelling_of_a_path_leads_around_it(gate, path):
    assert gate.get(path).status_code == 401


@pytest.mark.parametrize("path", ["/aetitle/studies", FRAME, f"{FRAME}?unused=1", TLM])
def test_both_ways_know_who_asks(gate, path):
    basic = "Basic " + b64encode(b"anna:correct horse").decode()
    for headers in [
        {"Authorization": f"Bearer {gate.token}"},
        {"token": gate.token},
        {"Authorization": basic},
    ]:
        assert gate.get(path, **headers).status_code == 200
    assert gate.get(path, peer="10.0.0.1", X_Forwarded_User="ben").status_code == 200
    assert gate.get(path, peer="10.0.0.2", X_Forwarded_User="ben").status_code == 401
    separator = "&" if "?" in path else "?"
    assert gate.get(f"{path}{separator}token={gate.token}").status_code == 200
    assert gate.get(f"{path}{separator}token={gate.token}x").status_code == 401
    assert gate.get(f"{path}{separator}token={gate.token}", token="other").status_code == 400
    assert gate.get(f"{path}{separator}token=a&token=b").status_code == 400


@pytest.mark.parametrize("path", ["/aetitle/studies", FRAME, "/nowhere"])
def test_a_refusal_can_be_read_by_viewers(gate, path):
    answer = gate.get(path, Origin="https://viewer.example.org", token="wrong")
    assert answer.status_code == 401
    assert answer.json["message"] == "the token is not known, or no longer"
    assert answer.headers.getlist("WWW-Authenticate") == [
        'Bearer realm="dicomweb-gateway", error="invalid_token", '
        'error_description="the token is not known, or no longer"',
        'Basic realm="dicomweb-gateway", charset="UTF-8"',
    ]
    assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example.org"
    assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"origin", "authorization", "token"} <= set(answer.vary.as_set())


def test_preflights_carry_no_login(gate):
    answer = gate.get(
        FRAME, "OPTIONS", Origin="https://viewer.example.org", Access_Control_Request_Method="GET"
    )
    assert answer.status_code in (200, 204)
    assert "token" in answer.headers["Access-Control-Allow-Headers"]


def test_a_token_in_the_query_leaves_no_trace(gate, caplog):
    with caplog.at_level(logging.DEBUG):
        plain = gate.get("/aetitle/studies?limit=2", token=gate.token)
        asked = gate.get(f"/aetitle/studies?limit=2&token={gate.token}")
        gate.get(f"/aetitle/studies?nonsense=1&token={gate.token}")
        gate.get(f"/nowhere?token={gate.token}")
    assert asked.status_code == plain.status_code == 200
    assert asked.data == plain.data
    assert "Warning" not in asked.headers
    assert asked.headers["ETag"] == plain.headers["ETag"]
    assert gate.token not in asked.get_data(as_text=True) + str(asked.headers) + caplog.text
    assert asked.headers["Referrer-Policy"] == "no-referrer"
    assert asked.headers["Cache-Control"] == "private, no-cache"


def test_a_query_token_goes_the_short_way_too(gate, monkeypatch):
    monkeypatch.setattr(gate.app, "preprocess_request", lambda: pytest.fail("the long way"))
    assert gate.get(f"{FRAME}?token={gate.token}").status_code == 200
    assert gate.get(f"{FRAME}?token={gate.token}x").status_code == 401


def test_the_caller_is_there_for_what_follows(gate):
    seen = []
    view = gate.app.view_functions["pages.home"]
    gate.app.view_functions["pages.home"] = lambda: view()
    with gate.app.test_request_context("/aetitle/studies", headers={"token": gate.token}) as context:
        gate.app.preprocess_request()
        seen.append(context.request.environ[CALLER])
    assert [(caller.name, caller.mode) for caller in seen] == [("ct", "token")]


def test_a_provider_that_is_away_is_503_and_too_many_failures_429(gate, monkeypatch):
    class Away:
        def caller_of(self, _):
            raise LoginUnavailable("the identity provider does not answer")

    app = create_app(replace(gate.services, authenticator=Authenticator(oidc=Away())))
    answer = app.test_client().get(FRAME, headers={"token": "a"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    wrong = "Basic " + b64encode(b"mallory:wrong").decode()
    statuses = [gate.get(FRAME, Authorization=wrong).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert gate.get(FRAME, Authorization=wrong).headers["Retry-After"] == "1"
