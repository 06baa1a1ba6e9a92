"""Browsers whose sessions lie in Redis: over instances and restarts, and without the server."""

from base64 import b64encode

import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.service.session_stores import redis_stores
from tests.routes.archive import CT, path_of
from tests.routes.browsers import PASSWORD, ROOT, make_site
from tests.shared.servers import CacheServer

FRAME = f"{path_of(CT, 1)}/frames/1"
BY_PASSWORD = {"Authorization": "Basic " + b64encode(f"anna:{PASSWORD}".encode()).decode()}


@pytest.fixture
def server():
    made = CacheServer("redis")
    yield made
    made.kill()


@pytest.fixture
def gateways(tmp_path, server):
    """Makes one more gateway of the service."""
    site, made = make_site(tmp_path), []

    def gateway():
        stores = redis_stores(server.settings["redis_url"], b"of the service")
        made.append(stores.tickets)
        return create_app(site.services(stores=stores))

    gateway.site = site
    yield gateway
    for one in made:
        one._server.close()


def test_a_login_holds_over_instances_and_restarts_until_it_is_ended_everywhere(gateways):
    anna = gateways.site.browser(app=gateways())
    anna.log_in()
    another = gateways.site.browser(app=gateways())
    another.log_in()
    for browser in (anna, another):
        assert browser.at(gateways()).ask(FRAME).status_code == 200
    left = anna.send("/logout", {"csrf": anna.csrf, "everywhere": "1"})
    assert left.status_code == 200
    for browser in (anna, another):
        assert browser.at(gateways()).ask(FRAME).status_code == 401


def test_without_the_server_pages_are_503_and_other_logins_go_on(gateways, server, caplog):
    app = gateways()
    anna = gateways.site.browser(app=app)
    anna.log_in()
    cookie = anna.cookie()
    server.kill()
    # others than the one that believes what it has read a moment ago
    anna = anna.at(gateways())
    refused = anna.ask(FRAME)
    assert refused.status_code == 503
    assert "SESSION_STORE" in refused.get_data(as_text=True)
    assert int(refused.headers["Retry-After"]) > 0
    stranger = gateways.site.browser(app=app)
    form = stranger.form()
    tried = stranger.send("/login", {**form, "name": "anna", "password": PASSWORD})
    assert tried.status_code == 503
    assert stranger.cookie() is None
    assert "SESSION_STORE" in tried.get_data(as_text=True)
    assert anna.send("/logout", {"csrf": anna.csrf}).status_code == 503
    assert app.test_client().get(FRAME, base_url=ROOT, headers=BY_PASSWORD).status_code == 200
    assert app.test_client().get(FRAME, base_url=ROOT).status_code == 401
    assert cookie not in caplog.text
    server.start()
    # it came back with nothing in it: whoever was logged in logs in again
    again = gateways.site.browser(app=gateways())
    again.give(cookie)
    assert again.ask(FRAME).status_code == 401
    assert again.log_in().status_code == 303
    assert again.ask(FRAME).status_code == 200
