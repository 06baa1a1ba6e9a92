"""Metrics, status, request ids and times, asked of the whole app."""

import logging
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import CorruptFrame
from dicomweb_gateway.telemetry.catalogue import METRICS, PREFIX
from dicomweb_gateway.web.services import About, HealthReport
from tests.routes.archive import CT, path_of
from tests.routes.callers import Locked, lock

FRAME = f"{path_of(CT, 1)}/frames/1"


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Locked:
    return lock(tmp_path_factory.mktemp("inside"))


def numbers(client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests_of(found, route, status="200") -> float:
    labels = {"route": route, "ae_path": "/aetitle", "method": "GET", "status": status}
    return found.get((f"{PREFIX}requests_total", tuple(sorted(labels.items()))), 0)


def test_requests_are_counted_by_pattern_and_nothing_of_them_is_told(house):
    client = house.app.test_client()
    route = "/studies/<study>/series/<series>/instances/<instance>/frames/<frames>"
    before = numbers(client)
    for _ in range(3):
        client.get(FRAME).get_data()
    client.get("/aetitle/studies/9.9.9/metadata").get_data()
    after = numbers(client)
    assert requests_of(after, route) - requests_of(before, route) == 3
    missing = "/studies/<study>/metadata"
    assert requests_of(after, missing, "404") - requests_of(before, missing, "404") == 1
    text = client.get("/metrics").get_data(as_text=True)
    assert "1.2.10" not in text
    assert "9.9.9" not in text


def test_every_family_is_there_from_the_start_and_both_forms_can_be_had(house):
    client = house.app.test_client()
    plain = client.get("/metrics")
    assert plain.content_type.startswith("text/plain")
    for name in METRICS:
        assert f"# HELP {PREFIX}{name}" in plain.get_data(as_text=True)
    modern = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern.content_type.startswith("application/openmetrics-text")
    assert modern.get_data(as_text=True).endswith("# EOF\n")


def test_histograms_add_up(house):
    client = house.app.test_client()
    client.get("/aetitle/studies").get_data()
    found = numbers(client)
    where = (("ae_path", "/aetitle"), ("route", "/studies"))
    count = found[f"{PREFIX}request_seconds_count", where]
    last = found[f"{PREFIX}request_seconds_bucket", (where[0], ("le", "+Inf"), where[1])]
    assert count == last > 0


@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_only_administrators_look_inside(locked, path):
    client = locked.app.test_client()
    for name, token in locked.tokens.items():
        answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == (200 if name == "all" else 404), name
        if name != "all":
            never = client.get("/nothing", headers={"Authorization": f"Bearer {token}"})
            assert answer.get_data() == never.get_data()
    assert client.get(path).status_code == 401


def test_prometheus_may_come_without_a_login_from_its_own_address(locked):
    config = replace(
        locked.house.services.config, metrics_from=("10.0.0.0/8",), trusted_proxies=("127.0.0.9",)
    )
    services = replace(
        locked.house.services,
        config=config,
        authenticator=locked.app.extensions["dicomweb_gateway"].authenticator,
    )
    client = create_app(services).test_client()

    def ask(path, peer, **headers):
        return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code

    assert ask("/metrics", "10.1.2.3") == 200
    assert ask("/metrics", "11.1.2.3") == 401
    assert ask("/metrics", "127.0.0.9", **{"X-Forwarded-For": "11.1.2.3"}) == 401
    assert ask("/metrics", "127.0.0.9", **{"X-Forwarded-For": "10.1.2.3"}) == 200
    assert ask("/metrics", "11.1.2.3", **{"X-Forwarded-For": "10.1.2.3"}) == 401
    assert ask("/status", "10.1.2.3") == 401
    assert ask("/aetitle/studies", "10.1.2.3") == 401


def test_without_a_login_only_this_machine_looks_inside(house):
    client = house.app.test_client()
    for path in ("/metrics", "/status"):
        assert client.get(path).status_code == 200
        assert client.get(path, environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 404
        assert client.get(path, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404


def test_the_status_page_masks_and_escapes(fresh):
    about = About(
        version="<b>", settings=(("REDIS_URL", "<script>", True),), parts=lambda: (("index", False, "&"),)
    )
    client = create_app(replace(fresh.services, about=about)).test_client()
    fresh.frames.frames[fresh.key(CT)] = CorruptFrame("torn 1.2.10")
    assert client.get(FRAME).status_code == 502
    page = client.get("/status")
    text = page.get_data(as_text=True)
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "1.2.10" not in text
    facts = client.get("/status", headers={"Accept": "application/json"}).get_json()
    assert facts == facts | {"version": "<b>"}
    assert client.get("/status?format=json").get_json()["health"]["parts"] == [
        {"name": "index", "ok": False, "detail": "&"}
    ]
    assert facts["recent_errors"][0]["error"] == "CorruptFrame"
    assert facts["recent_errors"][0]["status"] == 502
    assert client.get("/status?format=xml").status_code == 400
    assert b'href="/status"' in client.get("/").get_data()


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X-Request-Id": "abc-DEF_12345"}, "abc-DEF_12345"),
        ({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, "a" * 32),
        ({"X-Request-Id": "1.2.840.10008.1"}, None),
        ({"X-Request-Id": "x" * 65}, None),
        ({"X-Request-Id": "ab"}, None),
        ({"X-Request-Id": "Müller^Jörg".encode().decode("latin-1")}, None),
        ({"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}, None),
        ({}, None),
    ],
)
def test_a_sane_request_id_is_kept_and_any_other_replaced(house, headers, name):
    client = house.app.test_client()
    for path in (FRAME, "/aetitle/studies", "/nothing"):
        told = client.get(path, headers=headers).headers["X-Request-Id"]
        assert told == name or (name is None and re.fullmatch(r"[0-9a-f]{32}", told))


def test_answers_say_where_time_went_but_not_of_what_is_hidden(house, locked):
    client = house.app.test_client()
    assert re.search(
        r"index;dur=[0-9.]+.*total;dur=", client.get("/aetitle/studies?limit=3").headers["Server-Timing"]
    )
    assert "Server-Timing" not in client.get("/aetitle/studies/9.9/metadata").headers
    for caller, is_whole in (("all", True), ("ct", False)):
        answer = locked.app.test_client().get("/aetitle/studies", headers={"token": locked.tokens[caller]})
        assert ("index;" in answer.headers["Server-Timing"]) is is_whole
    quiet = create_app(replace(house.services, config=replace(house.services.config, server_timing=False)))
    assert "Server-Timing" not in quiet.test_client().get("/aetitle/studies").headers


def test_slow_requests_are_logged_with_where_time_went(house, caplog):
    config = replace(house.services.config, slow_seconds=1e-9)
    client = create_app(replace(house.services, config=config)).test_client()
    with caplog.at_level(logging.INFO, "dicomweb_gateway"):
        client.get("/aetitle/studies?PatientName=Nobody&limit=2").get_data()
    (slow,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert slow.getMessage().startswith("slow: GET /aetitle/studies 200 ")
    assert "index" in slow.facts["parts"]
    assert "Nobody" not in caplog.text
    with caplog.at_level(logging.INFO, "dicomweb_gateway"):
        caplog.clear()
        house.app.test_client().get("/aetitle/studies").get_data()
    assert [one.levelname for one in caplog.records] == ["INFO"]
    assert caplog.records[0].facts["route"] == "/studies"


def test_what_makes_health_red_is_among_the_recent_errors(fresh):
    red = replace(fresh.services, health=lambda: HealthReport(failing="frame store: no room"))
    client = create_app(red).test_client()
    assert client.get("/health").status_code == 503
    first = client.get("/status?format=json").get_json()["recent_errors"][0]
    assert (first["route"], first["error"]) == ("/health", "frame store: no room")
