"""Browsers log in, stay logged in on every instance, and are out when they should be."""

from dataclasses import replace

import orjson
import pytest
import requests

from dicomweb_gateway.access.client_limits import ClientLimits, ClientRates
from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.access.users import remove_user
from dicomweb_gateway.app import create_app
from dicomweb_gateway.web.viewer import Viewer, ViewerLogin
from dicomweb_gateway.web.viewer_files import ViewerFiles
from tests.e2e.login_page import CLIENT, served_login
from tests.routes.archive import CT, path_of
from tests.routes.browsers import PASSWORD, ROOT, Browser, parameters, write_user
from tests.web.ohif_files import write_ohif

FRAME = f"{path_of(CT, 1)}/frames/1"
STUDIES = "/aetitle/studies"


@pytest.fixture
def browser(site, services):
    return site.browser(services)


@pytest.fixture(scope="module")
def page():
    with served_login() as made:
        made.more = {"end_session_endpoint": f"{made.issuer}/logout"}
        yield made


def sent_by(address):
    return requests.get(address, allow_redirects=False, timeout=10).headers["Location"]


def test_a_person_is_led_to_the_login_and_back(browser):
    led = browser.open("/pages/account?a=1")
    assert (led.status_code, led.get_data()) == (303, b"")
    assert led.headers["Location"] == "/login?next=%2Fpages%2Faccount%3Fa%3D1"
    form = browser.open(led.headers["Location"])
    assert form.status_code == 200
    assert "anna" not in form.get_data(as_text=True)
    done = browser.log_in(wanted="/pages/account%3Fa%3D1")
    assert (done.status_code, done.headers["Location"]) == (303, "/pages/account?a=1")
    shown = browser.open("/pages/account")
    assert shown.status_code == 200
    assert "anna" in shown.get_data(as_text=True)


@pytest.mark.parametrize("path", [STUDIES, FRAME, "/session", "/nowhere"])
def test_scripts_and_viewers_are_told_401(browser, path):
    for headers in ({}, {"Accept": "text/html"}, {"Accept": "application/json"}):
        answer = browser.client.get(path, base_url=ROOT, headers=headers)
        assert answer.status_code == 401
        assert answer.is_json
    assert browser.open(path).status_code == 401
    told = browser.ask(path).headers.getlist("WWW-Authenticate")
    assert told == ['Session realm="dicomweb-gateway"']
    for mode in ("cors", "no-cors"):
        # what OHIF asks for, and pictures in pages: no browser is to ask for a password at each of them
        inside = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "same-origin"}
        answer = browser.client.get(path, base_url=ROOT, headers=inside)
        assert answer.headers.getlist("WWW-Authenticate") == told
        foreign = {**inside, "Sec-Fetch-Site": "cross-site"}
        answer = browser.client.get(path, base_url=ROOT, headers=foreign)
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    for headers in (
        {"Accept": "application/json"},
        {"Sec-Fetch-Mode": "cors"},
        {"Authorization": "Basic eDp5"},
    ):
        assert browser.open("/pages/account", **headers).status_code == 401


def test_a_session_opens_what_its_user_may_and_no_more(site):
    rules = AccessRules(("/aetitle", "/dicomweb"), (Rule(groups=("readers",), paths=("/aetitle",)),))
    services = replace(site.services(), rules=rules)
    anna, ben = site.browser(services), site.browser(services)
    anna.log_in()
    ben.log_in("ben")
    assert len(anna.ask(STUDIES).get_json()) == 2
    assert anna.ask(FRAME).status_code == 200
    assert anna.ask("/status").status_code == 404
    assert ben.ask(STUDIES).get_json() == anna.ask("/dicomweb/studies").get_json() == []
    assert ben.ask(FRAME).status_code == 404
    told = anna.ask("/session").get_json()
    assert (told["user"], told["login"], told["groups"]) == ("anna", "basic", ["readers"])
    assert told["session"]["ends"] - told["session"]["began"] == 3600


def test_answers_are_for_that_browser_alone(browser):
    browser.log_in()
    for path in (STUDIES, FRAME):
        answer = browser.ask(path)
        assert "private" in answer.headers["Cache-Control"]
        assert "cookie" in answer.vary
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("mode", ["private", "per-caller", "shared"])
def test_no_cache_in_front_keeps_what_a_session_shows(site, services, mode):
    services = replace(services, config=replace(services.config, cdn_caching=mode))
    browser = site.browser(services)
    browser.log_in()
    series = browser.ask("/aetitle/studies").get_json()[0]["0020000D"]["Value"][0]
    uid = browser.ask(f"/aetitle/studies/{series}/series").get_json()[0]["0020000E"]["Value"][0]
    (held, *_) = browser.ask(f"/aetitle/studies/{series}/series/{uid}/image-sets").get_json()
    at = f"/datastore/{held['datastoreId']}/imageSet/{held['imageSetId']}"
    for path in (f"{at}/getImageSet", f"{at}/getImageSetMetadata", f"{at}/getImageSetMetadata?version=1"):
        answer = browser.ask(path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"].startswith("private")
        assert "cookie" in answer.vary
        again = browser.ask(path, If_None_Match=answer.headers["ETag"])
        assert (again.status_code, again.headers["Cache-Control"][:7]) == (304, "private")


def test_the_cookie_is_one_that_nobody_else_can_set_or_read(browser):
    done = browser.log_in()
    (told,) = (one for one in done.headers.getlist("Set-Cookie") if "session" in one)
    name, _, rest = told.partition("=")
    assert name == "__Host-dicomweb-session"
    assert {part.strip() for part in rest.split(";")[1:]} == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


def test_wrong_passwords_say_the_same_and_are_slowed_down(site):
    browser = site.browser(site.services())
    answers = [browser.log_in(name, password) for name, password in [("anna", "wrong"), ("nobody", "wrong")]]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Session ")
        assert "user name or password is wrong" in answer.get_data(as_text=True)
        assert browser.cookie() is None
    statuses = [browser.log_in("anna", f"wrong {number}").status_code for number in range(6)]
    assert statuses == [401, 401, 401, 401, 429, 429]
    assert browser.log_in("anna", "x" * 5000).status_code in (401, 429)
    assert browser.log_in("<script>", "wrong").status_code == 401


@pytest.mark.parametrize("path", ["/login", "/login/"])
def test_refused_logins_count_for_the_address_however_it_is_written(site, path):
    limits = ClientLimits(ClientRates(failed_logins=2), SharedCounts(1).claim(0))
    browser = site.browser(site.services(limits=limits))
    fields = {**browser.form(), "password": "wrong"}
    statuses = [browser.send(path, {**fields, "name": f"user {one}"}).status_code for one in range(3)]
    assert statuses == [401, 401, 429]


def test_passwords_cannot_be_tried_unseen_at_an_address_that_is_open_to_all(site):
    limits = ClientLimits(ClientRates(failed_logins=2), SharedCounts(1).claim(0))
    client = create_app(site.services(limits=limits)).test_client()
    tried = [client.get("/", base_url=ROOT, auth=(name, "wrong")) for name in ("anna", "x", "y")]
    statuses = [answer.status_code for answer in tried]
    assert statuses == [401, 401, 429]
    assert [line for line in site.audited().splitlines() if '"route":"/"' in line and '"status":401' in line]
    assert "anna" in client.get("/", base_url=ROOT, auth=("anna", PASSWORD)).get_data(as_text=True)
    for other in ({}, {"Authorization": "AWS4-HMAC-SHA256 x"}, {"Cookie": "__Host-dicomweb-session=x"}):
        assert client.get("/", base_url=ROOT, headers=other).status_code == 200


def test_another_sites_page_cannot_log_anybody_in(site, browser):
    known = {"name": "anna", "password": PASSWORD}
    fields = browser.form()
    for wrong, origin in [
        ({}, ROOT),
        ({"csrf": ""}, ROOT),
        ({"csrf": site.browser().form()["csrf"]}, ROOT),
        (fields, "https://evil.example.org"),
        (fields, "null"),
    ]:
        answer = browser.send("/login", {**known, **wrong}, origin)
        assert answer.status_code == 403
        assert ("Set-Cookie" in answer.headers) is (origin == ROOT)
        assert browser.cookie() is None
    stranger = site.browser()
    assert stranger.send("/login", {**known, **fields}).status_code == 403
    assert browser.send("/login", {**known, **fields}).status_code == 303


@pytest.mark.parametrize(
    "wanted", ["//evil.org", "https://evil.org", "/\\evil.org", "/%0d%0aX: y", "javascript:x", "/logout"]
)
def test_nobody_is_sent_elsewhere_after_the_login(browser, wanted):
    fields = {**browser.form(), "next": wanted, "name": "anna", "password": PASSWORD}
    assert browser.send("/login", fields).headers["Location"] == "/"
    led = browser.open(f"/login?next={wanted}").get_data(as_text=True)
    assert "evil" not in led


def test_a_login_has_a_new_id_and_ends_the_one_before(site, services, browser):
    attacker = site.browser(services)
    attacker.log_in("ben")
    browser.give(attacker.cookie())
    assert browser.ask("/session").get_json()["user"] == "ben"
    browser.log_in()
    assert browser.cookie() != attacker.cookie()
    assert browser.ask("/session").get_json()["user"] == "anna"
    assert attacker.ask("/session").status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "dicomweb-session={id}",
        "dicomweb-session-443={id}",
        "__Host-dicomweb-session={id}; __Host-dicomweb-session=x",
        "__Host-dicomweb-session=x; __Host-dicomweb-session={id}",
        "__host-dicomweb-session={id}",
        "__Host-dicomweb-session={digest}",
        "__Host-dicomweb-session=",
        "__Host-dicomweb-session={id}x",
        "__Host-dicomweb-session",
    ],
)
def test_cookies_that_somebody_else_may_have_put_there(services, browser, header):
    browser.log_in()
    session_id = browser.cookie()
    digest = services.page_login.sessions.find(session_id).row.digest
    client = create_app(services).test_client(use_cookies=False)
    good = client.get(
        "/session", base_url=ROOT, headers={"Cookie": f"a=b; __Host-dicomweb-session={session_id}"}
    )
    assert good.status_code == 200
    told = header.format(id=session_id, digest=digest)
    assert client.get("/session", base_url=ROOT, headers={"Cookie": told}).status_code == 401


def test_by_plain_http_there_are_logins_on_this_machine_only(site):
    services = site.services()
    app = create_app(replace(services, config=replace(services.config, public_url=None, port=8080)))
    for root, status in [
        ("http://localhost:8080", 303),
        ("http://127.0.0.1", 303),
        ("http://pacs:8080", 400),
    ]:
        client = app.test_client()
        text = client.get("/login", base_url=root).get_data(as_text=True)
        if status == 400:
            assert "needs https" in text
            continue
        token = text.partition('name="csrf" value="')[2].partition('"')[0]
        fields = {"name": "anna", "password": PASSWORD, "csrf": token}
        done = client.post("/login", base_url=root, data=fields, headers={"Origin": root})
        assert done.status_code == status
        (cookie,) = (one for one in done.headers.getlist("Set-Cookie") if "session" in one)
        assert cookie.startswith("dicomweb-session-80")
        assert "Secure" not in cookie
        assert client.get("/session", base_url=root).status_code == 200


def test_what_changes_something_needs_the_sessions_token(site, services, browser):
    browser.log_in()
    other = site.browser(services)
    other.log_in("ben")
    for headers in [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other.csrf},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
    ]:
        answer = browser.ask("/logout", "POST", **headers)
        assert answer.status_code == 403
        assert answer.is_json
    assert browser.send("/logout", {"csrf": other.csrf}).status_code == 403
    # a browser sends no cookies with another site's form, which must not take ours away either
    foreign = site.browser(services).send("/logout", {}, "https://evil.example.org")
    assert (foreign.status_code, "Set-Cookie" in foreign.headers) == (403, False)
    assert browser.ask("/session").status_code == 200
    assert browser.send("/logout", {"csrf": browser.csrf}, origin=None).status_code == 200
    assert browser.ask("/session").status_code == 401


def test_storing_from_a_page_needs_it_too(site):
    rules = AccessRules(("/aetitle", "/dicomweb"), (Rule(groups=("readers",), operations=("import",)),))
    browser = site.browser(replace(site.services(), rules=rules))
    browser.log_in()
    kind = {"Content_Type": "text/plain"}
    assert browser.ask("/aetitle/studies", "POST", b"x", X_CSRF_Token="", **kind).status_code == 403
    edit = f"/image-sets/{'0' * 32}/{'0' * 32}/attributes"
    assert browser.ask(edit, "POST", b"{}", X_CSRF_Token="").status_code == 403
    assert browser.ask(edit, "POST", b"{}").status_code == 404
    foreign = {"Origin": "https://evil.example.org"}
    assert browser.ask("/aetitle/studies", "POST", b"x", **foreign, **kind).status_code == 403
    # past the lock it is looked at as everybody's
    assert browser.ask("/aetitle/studies", "POST", b"x", **kind).status_code not in (401, 403)


def test_logging_out(site, services, browser):
    browser.log_in()
    stolen = browser.cookie()
    left = browser.send("/logout", {"csrf": browser.csrf})
    assert left.status_code == 200
    assert "You have logged out" in left.get_data(as_text=True)
    assert not browser.cookie()
    assert left.headers["Clear-Site-Data"] == '"cache"'
    thief = site.browser(services)
    thief.give(stolen)
    assert thief.ask(STUDIES).status_code == 401
    # again, by whoever has no session: nothing to do, and nothing to fear
    assert browser.send("/logout", {}).status_code == 200
    assert browser.send("/logout", {"everywhere": "1"}).status_code == 401


def test_logging_out_everywhere(site, services):
    mine, also_mine, bens = (site.browser(services) for _ in range(3))
    elsewhere = site.browser()
    mine.log_in()
    also_mine.log_in()
    elsewhere.log_in()
    bens.log_in("ben")
    assert mine.ask("/logout", "POST", {"everywhere": "1"}).status_code == 200
    site.now += 6
    statuses = [one.ask(STUDIES).status_code for one in (mine, also_mine, elsewhere, bens)]
    assert statuses == [401, 401, 401, 200]


def test_two_instances_and_a_restart(site, browser):
    browser.log_in()
    for _ in range(2):
        there = browser.at(create_app(site.services()))
        assert there.ask(FRAME).status_code == 200
    there.ask("/logout", "POST")
    site.now += 6
    assert browser.ask(FRAME).status_code == 401


def test_a_login_ends_in_the_middle_of_the_work(site, browser):
    browser.log_in()
    site.now += 590
    assert browser.ask(STUDIES).status_code == 200
    site.now += 601
    answer = browser.ask("/aetitle/studies", "POST", b"x" * 1000)
    assert answer.status_code == 401
    assert answer.get_json()["message"] == "this gateway asks for a login"
    assert browser.open("/pages/account").status_code == 303
    browser.log_in()
    assert browser.ask(STUDIES).status_code == 200
    for _ in range(8):
        site.now += 500
        status = browser.ask(STUDIES).status_code
    assert status == 401


def test_a_session_ends_with_its_user_and_their_password(site):
    folder = site.folder
    services = site.services()
    users = services.page_login.doors.form._file
    write_user(folder, "cleo", PASSWORD, ("readers",))
    users.reread()
    browser = site.browser(services)
    for end in (
        lambda: write_user(folder, "cleo", "another password", ()),
        lambda: remove_user(folder / "users", "cleo"),
    ):
        browser.log_in("cleo", PASSWORD)
        assert browser.ask(STUDIES).status_code == 200
        end()
        users.reread()
        site.now += 6
        assert browser.ask(STUDIES).status_code == 401
        write_user(folder, "cleo", PASSWORD, ())
        users.reread()


def test_a_password_in_the_header_is_taken_before_a_session(browser):
    browser.log_in()
    headers = {"Authorization": "Basic YmVuOmNvcnJlY3QgaG9yc2U="}
    assert browser.client.get("/session", base_url=ROOT, headers=headers).get_json()["user"] == "ben"
    headers = {"Authorization": "Basic YmVuOndyb25n"}
    assert browser.client.get("/session", base_url=ROOT, headers=headers).status_code == 401


def test_logins_are_in_the_audit_log_and_nothing_secret_is(site, browser):
    browser.log_in("anna", "wrong one")
    browser.log_in()
    session_id = browser.cookie()
    browser.ask("/logout", "POST")
    log = site.audited()
    assert '"type": "Login"' in log.replace('":"', '": "')
    assert '"type": "Logout"' in log.replace('":"', '": "')
    assert "User Authentication" in log
    refused = [line for line in map(orjson.loads, log.splitlines()) if line["status"] == 401]
    assert (refused[-1]["user"], refused[-1]["tried"]) == (None, "anna")
    for secret in (session_id, PASSWORD, "wrong one", browser.csrf):
        assert secret not in log


def test_the_name_that_was_tried_is_audited_whatever_it_is(site, browser):
    browser.log_in("x\r\n\x00" + "y" * 300, "wrong")
    browser.client.get("/aetitle/studies", base_url=ROOT, auth=("mallory", "wrong"))
    browser.client.get("/aetitle/studies", base_url=ROOT, headers={"Authorization": "Basic %%%"})
    refused = [line for line in map(orjson.loads, site.audited().splitlines()) if line["status"] == 401]
    assert [line.get("tried") for line in refused[-3:]] == [
        "x\\u000d\\u000a\\u0000" + "y" * 251,
        "mallory",
        None,
    ]


def test_a_frame_asks_the_database_for_nothing(site, services, browser, monkeypatch):
    browser.log_in()
    assert browser.ask(FRAME).status_code == 200
    monkeypatch.setattr(services.page_login.sessions._store, "find", lambda _: pytest.fail("asked"))
    for _ in range(20):
        assert browser.ask(FRAME).status_code == 200


def test_the_way_over_the_provider(site, page):
    services = site.services(page.issuer, with_form=False)
    browser = Browser(create_app(services))
    led = browser.open("/login?next=/pages/account")
    assert led.headers["Location"] == "/login/provider?next=%2Fpages%2Faccount"
    asked = parameters(browser.open(led.headers["Location"]).headers["Location"])
    assert asked["redirect_uri"] == f"{ROOT}/login/callback"
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    done = browser.log_in_there(sent_by, "/pages/account")
    assert (done.status_code, done.headers["Location"]) == (303, "/pages/account")
    assert browser.ask(FRAME).status_code == 200
    assert browser.ask("/session").get_json()["login"] == "oidc"
    left = browser.send("/logout", {"csrf": browser.csrf})
    assert left.headers["Refresh"].startswith(f"0;url={page.issuer}/logout?client_id={CLIENT}")
    assert "id_token_hint=" in left.headers["Refresh"]
    assert browser.ask(FRAME).status_code == 401


def test_an_answer_of_the_provider_that_this_browser_did_not_ask_for(site, page):
    services = site.services(page.issuer)
    victim, attacker = Browser(create_app(services)), Browser(create_app(services))
    away = attacker.open("/login/provider").headers["Location"]
    back = sent_by(away)
    victim.open("/login/provider")
    answer = victim.open(back.removeprefix(ROOT))
    assert answer.status_code == 400
    assert "log in again" in answer.get_data(as_text=True)
    assert victim.cookie() is None
    # nor on another instance that the attacker's browser never saw: it holds for that browser everywhere
    again = attacker.at(create_app(site.services(page.issuer)))
    assert again.open(back.removeprefix(ROOT)).status_code == 303
    for query in ("", "?code=x", "?state=x&code=y", "?error=<script>alert(1)</script>"):
        answer = victim.open(f"/login/callback{query}")
        assert answer.status_code == 400
        assert "<script>alert" not in answer.get_data(as_text=True)


def test_both_ways_are_offered_where_both_are_there(site, page):
    browser = Browser(create_app(site.services(page.issuer)))
    text = browser.open("/login?next=/status").get_data(as_text=True)
    assert 'name="password"' in text
    assert 'href="/login/provider?next=%2Fstatus"' in text
    browser.log_in()
    assert browser.ask("/session").get_json()["login"] == "basic"
    browser.log_in_there(sent_by)
    assert browser.ask("/session").get_json()["login"] == "oidc"


def test_a_provider_that_is_away_is_said_so(site):
    browser = Browser(create_app(site.services("http://127.0.0.1:9/realm", with_form=False)))
    answer = browser.open("/login/provider")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Try again" in answer.get_data(as_text=True)


def test_ohif_needs_no_login_of_its_own_for_whom_a_session_shows(site, page, tmp_path):
    files = ViewerFiles(write_ohif(tmp_path) / "dist")
    viewer = Viewer(files, ViewerLogin(page.issuer, "ohif", ("openid",)))
    browser = Browser(create_app(site.services(page.issuer, viewer=viewer)))
    assert b'"oidc"' in browser.open("/viewer/app-config.js").get_data()
    assert browser.open("/viewer").status_code == 200
    browser.log_in()
    assert b'"oidc"' not in browser.open("/viewer/app-config.js").get_data()
    plain = Browser(create_app(site.services(viewer=Viewer(files))))
    assert b"/aetitle" not in plain.open("/viewer/app-config.js").get_data()
    led = plain.open("/viewer/viewer?StudyInstanceUIDs=1.2")
    assert led.headers["Location"] == "/login?next=%2Fviewer%2Fviewer%3FStudyInstanceUIDs%3D1.2"
    plain.log_in()
    assert plain.open("/viewer/viewer?StudyInstanceUIDs=1.2").status_code == 200


def test_where_no_login_is_asked_pages_work_and_there_is_nothing_to_log_in_to(house):
    client = house.app.test_client()
    assert client.get("/pages/account").status_code == 200
    assert "no login for browsers" in client.get("/login").get_data(as_text=True)
    for method, path in (("POST", "/login"), ("GET", "/login/provider"), ("POST", "/logout")):
        assert client.open(path, method=method).status_code == 404


def test_an_unauthenticated_page_shows_nothing(site, services, browser):
    for path in ("/", "/login", "/login?next=/aetitle/studies/1.2.10"):
        text = browser.open(path).get_data(as_text=True)
        for shown in ("anna", "data-csrf", "data-known", 'href="/status"', "<code>"):
            assert shown not in text
    assert 'href="/login"' in browser.open("/").get_data(as_text=True)
