"""Login at a provider: the code flow as it should be, and all that must not let anybody in."""

import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.code_login import CodeClient, CodeLogin
from dicomweb_gateway.access.discovery import EndpointKeeper
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.errors import InsufficientScope, InvalidRequest, LoginUnavailable, Unauthenticated
from tests.e2e.login_page import CLIENT, served_login

BACK = "https://gw.example.org/login/callback"


@pytest.fixture
def page():
    with served_login() as made:
        yield made


class Flow:
    """A gateway's login at `page`, as its client."""

    def __init__(self, page, secret=None, needed=(), **rules):
        self.now = None
        rules = ClaimRules(
            page.issuer, **{"clients": frozenset({CLIENT}), "scopes": frozenset(needed), **rules}
        )
        fetcher = DocumentFetcher()
        bearers = OidcLogin(rules, KeyKeeper(Issuer(page.issuer, None, fetcher).fetch))
        client = CodeClient(page.issuer, CLIENT, secret, ("openid", *needed), needed)
        clock = lambda: time.time() if self.now is None else self.now  # noqa: E731
        self.login = CodeLogin(
            client, rules, bearers, EndpointKeeper(page.issuer, fetcher), fetcher, b"of the service", clock
        )

    def answered(self, browser="b", wanted="/pages/x"):
        """The parameters with which the provider sends the browser back."""
        address = self.login.begin(browser, BACK, wanted)
        sent = requests.get(address, allow_redirects=False, timeout=10).headers["Location"]
        assert sent.startswith(BACK)
        return {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}

    def finish(self, browser="b", **more):
        return self.login.finish("b", BACK, {**self.answered(browser), **more})


def test_who_logs_in_is_known_by_the_access_token(page):
    page.access_claims = {"cognito:groups": ["readers"], "scope": "openid more"}
    found = Flow(page).finish()
    assert (found.caller.name, found.caller.mode, found.caller.client) == ("alice", "oidc", CLIENT)
    assert (found.caller.groups, found.caller.scopes) == ({"readers"}, {"openid", "more"})
    assert found.wanted == "/pages/x"
    assert found.id_token.count(".") == 2


@pytest.mark.parametrize(
    "access", [{"answer": {"access_token": "opaque"}}, {"access_claims": {"client_id": "x"}}]
)
def test_or_by_the_id_token_where_the_other_is_not_for_this_gateway(page, access):
    for name, value in access.items():
        setattr(page, name, value)
    page.id_claims = {"groups": ["from the id token"]}
    caller = Flow(page).finish().caller
    assert (caller.name, caller.client) == ("alice", CLIENT)
    assert (caller.groups, caller.scopes) == ({"from the id token"}, {"openid"})


def test_nobody_comes_in_without_a_needed_scope(page):
    page.access_claims = {"scope": "openid"}
    with pytest.raises(InsufficientScope):
        Flow(page, needed=("imaging",)).finish()
    page.answer = {"access_token": "opaque", "scope": "openid"}
    with pytest.raises(InsufficientScope):
        Flow(page, needed=("imaging",)).finish()
    page.answer = {"access_token": "opaque", "scope": "openid imaging"}
    assert Flow(page, needed=("imaging",)).finish().caller.scopes == {"openid", "imaging"}


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": None},
        {"aud": [CLIENT, "another"]},
        {"azp": "another"},
        {"iss": "https://evil.example.org"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 2_000_000_000_000},
        {"sub": None},
        {"token_use": "access"},
    ],
)
def test_an_id_token_that_does_not_fit(page, claims):
    page.id_claims = claims
    with pytest.raises(Unauthenticated):
        Flow(page).finish()


@pytest.mark.parametrize("token", [None, "", "a.b.c", 7])
def test_no_id_token_is_no_login(page, token):
    page.answer = {"id_token": token}
    with pytest.raises(Unauthenticated):
        Flow(page).finish()


def test_only_the_browser_that_began_it_can_finish_it(page):
    flow = Flow(page)
    for browser, wrong in (("b", "other"), ("b", ""), ("", "")):
        with pytest.raises(InvalidRequest):
            flow.login.finish(wrong, BACK, flow.answered(browser))
    answered = flow.answered()
    for state in ("", "x", answered["state"][:-2], answered["state"] + "AAAA", "ä", "=" * 9000):
        with pytest.raises(InvalidRequest):
            flow.login.finish("b", BACK, {**answered, "state": state})
    with pytest.raises(InvalidRequest):
        flow.finish(iss="https://evil.example.org")
    with pytest.raises(InvalidRequest):
        flow.finish(code="")
    assert page.logins == 0


def test_another_instance_can_finish_it_but_no_other_service(page):
    answered = Flow(page).answered()
    assert Flow(page).login.finish("b", BACK, answered).caller.name == "alice"
    other = Flow(page)
    other.login = CodeLogin(
        other.login._client,
        other.login._rules,
        other.login._bearers,
        other.login._keeper,
        DocumentFetcher(),
        b"another service",
    )
    with pytest.raises(InvalidRequest):
        other.login.finish("b", BACK, Flow(page).answered())


def test_it_does_not_wait_for_ever(page):
    flow = Flow(page)
    answered = flow.answered()
    flow.now = time.time() + 901
    with pytest.raises(InvalidRequest, match="too long ago"):
        flow.login.finish("b", BACK, answered)


def test_a_code_of_another_login_is_of_no_use(page):
    flow = Flow(page)
    stolen = flow.answered("thief")["code"]
    with pytest.raises((LoginUnavailable, Unauthenticated)):
        flow.login.finish("b", BACK, {**flow.answered(), "code": stolen})


def test_refusals_and_outages_of_the_provider(page):
    flow = Flow(page)
    with pytest.raises(Unauthenticated, match="refused"):
        flow.finish(error="access_denied", error_description="<script>")
    page.status = 400
    with pytest.raises(Unauthenticated, match="does not take the code"):
        flow.finish()
    page.status = 503
    with pytest.raises(LoginUnavailable):
        flow.finish()
    page.more = {"authorization_endpoint": None}
    known = flow.login.begin("b", BACK, "/")
    assert known.startswith(f"{page.issuer}/authorize?")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({}, "Basic b2hpZjpzJTNBJTI1"),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, "s:%"),
    ],
)
def test_a_clients_secret_is_shown_as_the_provider_takes_it(page, told, shown):
    page.more = told
    Flow(page, secret="s:%").finish()
    assert page.secrets == [shown]


def test_the_logout_there(page):
    flow = Flow(page)
    assert flow.login.logout_address("token", "https://gw.example.org/") is None
    page.more = {"end_session_endpoint": f"{page.issuer}/logout"}
    address = Flow(page).login.logout_address("token", "https://gw.example.org/")
    assert address.startswith(f"{page.issuer}/logout?")
    assert parse_qs(urlsplit(address).query) == {
        "client_id": [CLIENT],
        "id_token_hint": ["token"],
        "post_logout_redirect_uri": ["https://gw.example.org/"],
        "logout_uri": ["https://gw.example.org/"],
    }


def test_a_provider_that_hangs_holds_few_threads(page):
    went, gate = [], threading.Event()
    whole = page.discovery
    page.discovery = lambda: gate.wait(30) and whole()
    flow = Flow(page)

    def begin():
        try:
            flow.login.begin("b", BACK, "/")
        except LoginUnavailable as error:
            went.append(str(error))

    threads = [threading.Thread(target=begin) for _ in range(20)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(went) < 12 and time.monotonic() < until:
        time.sleep(0.01)
    assert went == ["too many logins wait for the identity provider"] * 12
    gate.set()
    for thread in threads:
        thread.join()
    assert len(went) == 12


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize(
    "address", [None, 7, "", "http://evil.example.org/x", "javascript:x", "https://u:p@h/"]
)
def test_addresses_that_cannot_be_believed(page, name, address):
    told = {**page.discovery(), name: address}
    page.discovery = lambda: told
    with pytest.raises(LoginUnavailable):
        Flow(page).login.begin("b", BACK, "/")


def test_a_provider_that_is_away_is_asked_again_soon(page):
    now = [0.0]
    keeper = EndpointKeeper(page.issuer, DocumentFetcher(), lambda: now[0])
    whole, asked = page.discovery, []
    page.discovery = lambda: asked.append(1) or {}
    for _ in range(3):
        with pytest.raises(LoginUnavailable):
            keeper.endpoints()
    assert len(asked) == 1
    page.discovery = whole
    now[0] = 5.0
    assert keeper.endpoints().token == f"{page.issuer}/token"
