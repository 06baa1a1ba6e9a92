"""A page gives a viewer a ticket, which reads one study and does nothing else."""

import json
import logging
from dataclasses import replace

import pytest

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.access.users import remove_user
from dicomweb_gateway.app import create_app
from tests.routes.archive import CT, OTHER, STORE, STUDY, hex_id, path_of
from tests.routes.browsers import ROOT, make_site
from tests.routes.test_login import addresses

FRAME = f"{path_of(CT, 1)}/frames/1"
ASKED = {"base": "/aetitle", "study": STUDY}
JSON = "application/json"


@pytest.fixture
def browser(site, services):
    made = site.browser(services)
    made.log_in()
    return made


def ask_ticket(browser, asked=None, **headers):
    return browser.ask("/tickets", "POST", json.dumps(asked or ASKED), Content_Type=JSON, **headers)


class Viewer:
    """Weasis: it knows no cookies, and sends what the link had it send."""

    def __init__(self, app, ticket):
        self.client = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Bearer {ticket}"}

    def ask(self, path, method="GET", **more):
        return self.client.open(path, method=method, base_url=ROOT, headers=self.headers, **more)


@pytest.fixture
def viewer(browser, services):
    return Viewer(create_app(services), ask_ticket(browser).get_json()["ticket"])


def uids(answer):
    return {row["0020000D"]["Value"][0] for row in answer.get_json()}


def test_a_viewer_reads_the_study_as_weasis_does(browser, viewer):
    found = viewer.ask(f"/aetitle/studies?0020000D={STUDY}&includefield=00080020,00080030,00100010")
    assert uids(found) == {STUDY}
    series = viewer.ask(f"/aetitle/studies/{STUDY}/series?includefield=0008103E").get_json()
    assert CT in {row["0020000E"]["Value"][0] for row in series}
    address = next(row["00081190"]["Value"][0] for row in series if row["0020000E"]["Value"][0] == CT)
    (one, *_) = viewer.ask(f"{address.removeprefix(ROOT)}/instances").get_json()
    image = viewer.ask(one["00081190"]["Value"][0].removeprefix(ROOT))
    assert image.status_code == 200
    assert image.content_type.startswith("multipart/related")
    for path in (FRAME, f"{path_of(CT, 1)}/rendered", f"/aetitle/studies/{STUDY}/metadata"):
        assert viewer.ask(path).status_code == 200
    assert "authorization" in viewer.ask(FRAME).vary


def test_it_is_given_once_and_says_when_it_ends(site, browser):
    given = ask_ticket(browser)
    assert (given.status_code, given.headers["Cache-Control"]) == (200, "no-store")
    assert set(given.get_json()) == {"ticket", "ends"}
    assert given.get_json()["ends"] == site.now + 2400
    assert ask_ticket(browser).get_json()["ticket"] != given.get_json()["ticket"]


def test_what_is_not_of_the_study_looks_as_if_it_did_not_exist(browser, viewer):
    for query in (
        "",
        f"?StudyInstanceUID={STUDY}%5C{OTHER}",
        f"?StudyInstanceUID={STUDY},{OTHER}",
        "?limit=9",
    ):
        answer = viewer.ask(f"/aetitle/studies{query}")
        assert uids(answer) == {STUDY}
        assert answer.headers.get("X-Total-Count", "1") == "1"
        for level in ("series", "instances"):
            assert uids(viewer.ask(f"/aetitle/{level}{query}")) == {STUDY}
    assert viewer.ask(f"/aetitle/studies?StudyInstanceUID={OTHER}").get_json() == []
    for path in (
        f"/aetitle/studies/{OTHER}/series",
        "/dicomweb/studies",
        f"/dicomweb/studies/{STUDY}/series",
    ):
        assert viewer.ask(path).get_json() == []
        assert len(browser.ask(path).get_json()) > 0
    for path in (
        f"/aetitle/studies/{OTHER}",
        f"/aetitle/studies/{OTHER}/metadata",
        f"/dicomweb{FRAME.removeprefix('/aetitle')}",
        f"/aetitle/studies/{STUDY}/../{OTHER}/metadata",
        f"/aetitle/studies/{STUDY}0/metadata",
    ):
        assert viewer.ask(path).status_code in (400, 401, 404), path


def test_it_is_no_token_anywhere_else(services, viewer):
    """Every address and method: only reading below the base paths is open to it, as to nobody's token."""
    app = create_app(services)
    ticket = viewer.headers["Authorization"].removeprefix("Bearer ")
    image_set = f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}"
    writing = [
        *((f"/aetitle/studies{rest}", "POST") for rest in ("", f"/{STUDY}")),
        (f"/image-sets/{STORE}/{hex_id('set', CT)}/attributes", "POST"),
        *((path, "POST") for path in ("/tickets", "/login")),
        *((path, "GET") for path in ("/session", "/pages/studies", "/status", "/metrics", "/", "/nowhere")),
        *((f"{image_set}/{name}", "GET") for name in ("getImageSet", "getImageSetMetadata")),
    ]
    for path, method in writing:
        refused = viewer.ask(path, method, data=b"{}", content_type=JSON)
        assert refused.status_code in (401, 403), (path, method)
    seen = set()
    for path, methods in addresses(app):
        for method in methods:
            status = viewer.ask(path, method).status_code
            if status < 400 and method != "HEAD":
                seen.add((method, path.partition(STUDY)[0]))
    public = {"/health", "/healthcheck", "/aetitle/health", "/dicomweb/health", "/dictionary"}
    public |= {"/static/1/frame.css", "/login", "/logout"}
    below = {"/aetitle/studies/", "/aetitle/studies", "/aetitle/series", "/aetitle/instances"}
    other = {"/dicomweb/studies/", "/dicomweb/studies", "/dicomweb/series", "/dicomweb/instances"}
    assert {path for _, path in seen} <= public | below | other
    assert {path for method, path in seen if method != "GET"} == {"/logout"}
    for wrong in ({"token": ticket}, {"Cookie": f"__Host-dicomweb-session={ticket}"}):
        assert viewer.client.get(FRAME, base_url=ROOT, headers=wrong).status_code == 401
    assert viewer.client.get(f"{FRAME}?token={ticket}", base_url=ROOT).status_code == 401


def test_only_a_page_of_ours_gets_one(site, services, browser):
    for headers in (
        {"X-CSRF-Token": ""},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"},
    ):
        assert ask_ticket(browser, **headers).status_code == 403
    assert browser.ask("/tickets", "POST", json.dumps(ASKED), Content_Type="text/plain").status_code == 415
    assert browser.ask("/tickets").status_code == 405
    assert site.browser(services).ask("/tickets", "POST", b"{}", Content_Type=JSON).status_code == 401
    basic = create_app(services).test_client().post("/tickets", base_url=ROOT, json=ASKED, auth=("anna", "x"))
    assert basic.status_code == 401


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({**ASKED, "base": "/other"}, 400),
        ({**ASKED, "base": None}, 400),
        ({**ASKED, "base": ["/aetitle"]}, 400),
        ({**ASKED, "study": "1.2.3\r\nX: y"}, 400),
        ({**ASKED, "study": [STUDY]}, 400),
        ({**ASKED, "study": "1.2.999"}, 404),
        ({**ASKED, "more": 1}, 400),
        ([], 400),
    ],
)
def test_what_is_asked_wrongly_gives_none(browser, asked, status):
    answer = browser.ask("/tickets", "POST", json.dumps(asked), Content_Type=JSON)
    assert answer.status_code == status
    assert "ticket" not in answer.get_json()
    assert browser.ask("/tickets", "POST", b"x" * 5000, Content_Type=JSON).status_code == 413


def test_nobody_gets_one_for_what_they_may_not_see_and_rules_bind_it_later_too(site, tmp_path):
    rules = (Rule(users=("anna",)), Rule(users=("ben",), paths=("/dicomweb",)))
    services = site.services(rules=AccessRules(("/aetitle", "/dicomweb"), rules))
    anna, ben = site.browser(services), site.browser(services)
    anna.log_in()
    ben.log_in("ben")
    assert ask_ticket(ben).status_code == 404
    bens = ask_ticket(ben, {**ASKED, "base": "/dicomweb"}).get_json()["ticket"]
    ticket = ask_ticket(anna).get_json()["ticket"]
    # what the rules say when it is used counts, whatever they said when it was given
    less = AccessRules(("/aetitle", "/dicomweb"), (Rule(users=("anna",), operations=("search",)),))
    app = create_app(replace(services, rules=less))
    assert Viewer(app, ticket).ask(FRAME).status_code == 404
    assert uids(Viewer(app, ticket).ask("/aetitle/studies")) == {STUDY}
    assert Viewer(app, bens).ask("/dicomweb/studies").get_json() == []


def test_it_ends_with_its_login(site, services, browser, viewer):
    assert viewer.ask(FRAME).status_code == 200
    browser.ask("/logout", "POST")
    refused = viewer.ask(FRAME)
    assert refused.status_code == 401
    assert refused.get_json()["message"] == "the token is not known, or no longer"


def test_a_logout_of_a_session_that_was_forgotten_ends_it_too(site, services, browser, viewer):
    site.now += 601
    assert browser.ask("/session").status_code == 401
    assert viewer.ask(FRAME).status_code == 200
    assert browser.ask("/logout", "POST", X_CSRF_Token="0" * 64).status_code == 200
    assert viewer.ask(FRAME).status_code == 200


def test_pages_of_a_session_that_was_forgotten_still_log_out(site, services):
    browser = site.browser(services)
    browser.log_in()
    viewer = Viewer(create_app(services), ask_ticket(browser).get_json()["ticket"])
    site.now += 601
    assert viewer.ask(FRAME).status_code == 200
    assert browser.ask("/logout", "POST").status_code == 200
    assert viewer.ask(FRAME).status_code == 401


def test_it_ends_when_its_user_is_no_more(tmp_path):
    site = make_site(tmp_path)
    services = site.services()
    browser = site.browser(services)
    browser.log_in("ben")
    viewer = Viewer(create_app(services), ask_ticket(browser).get_json()["ticket"])
    assert viewer.ask(FRAME).status_code == 200
    remove_user(tmp_path / "users", "ben")
    services.page_login.doors.form._file.reread()
    site.now += 6
    assert viewer.ask(FRAME).status_code == 401


def test_the_audit_log_has_who_gave_it_and_who_read_by_it_and_no_log_has_it(site, services, browser, caplog):
    with caplog.at_level(logging.DEBUG):
        ticket = ask_ticket(browser).get_json()["ticket"]
        Viewer(create_app(services), ticket).ask(FRAME)
        Viewer(create_app(services), ticket + "0").ask(FRAME)
    lines = [json.loads(line) for line in site.audited().splitlines()]
    given = [line for line in lines if line["route"] == "/tickets" and line["status"] == 200][-1]
    used = [line for line in lines if line.get("ticket") == given["ticket"] and line is not given]
    assert (given["event_code"], given["type"], given["study"]) == ("110114", "Ticket", STUDY)
    assert [(line["user"], line["login"], line["status"]) for line in used] == [("anna", "basic", 200)]
    assert ticket not in caplog.text + site.audited()


def test_where_none_are_given_none_is_taken(site, services, viewer):
    login = replace(services.page_login, tickets=None)
    without = replace(services, page_login=login, authenticator=replace(services.authenticator, tickets=None))
    browser = site.browser(without)
    browser.log_in()
    assert ask_ticket(browser).status_code == 404
    assert Viewer(create_app(without), viewer.headers["Authorization"][7:]).ask(FRAME).status_code == 401
