"""What `check` finds: each line in its own right, with real parts."""

import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dicomweb_gateway.checks import run_checks
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.settings import load_settings
from tests.shared.servers import CacheServer

STORE = "0123456789abcdef0123456789abcdef"


class Listing(BaseHTTPRequestHandler):
    """A HealthImaging that has one data store and a clock of its own, or refuses everybody."""

    ahead = 0.0
    status = 200

    def do_GET(self):
        store = f'{{"datastoreId":"{STORE}","datastoreName":"a","datastoreStatus":"ACTIVE"}}'
        body = f'{{"datastoreSummaries":[{store}]}}'.encode() if self.status == 200 else b'{"message":"no"}'
        self.send_response_only(self.status)
        self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("x-amzn-ErrorType", "AccessDeniedException")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    handler = type("Handler", (Listing,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        handler.url = f"http://127.0.0.1:{server.server_port}"
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture
def checks(tmp_path, service):
    def look(**more):
        given = {
            "data_dir": tmp_path / "data",
            "ahi_endpoint": service.url,
            "ahi_region": "us-east-1",
            **more,
        }
        return {row.name: row for row in run_checks(load_settings(given))}

    (tmp_path / "data").mkdir()
    upgrade(f"sqlite:///{tmp_path}/data/index.sqlite")
    return look


def test_a_good_gateway_passes_in_every_line(checks):
    rows = checks()
    assert {"schema", "index", "rights", "logins", "rules", "credentials", "HealthImaging", "clock"} <= set(
        rows
    )
    assert {"disk", "limits", "memory"} <= set(rows)
    assert [row for row in rows.values() if not row.ok and row.name not in ("disk", "memory", "limits")] == []
    assert rows["rights"].detail == "may read and write"
    assert "1 data stores" in rows["HealthImaging"].detail
    assert "MB/s" in rows["disk"].detail


@pytest.mark.parametrize(("ahead", "fine"), [(0, True), (40, True), (-400, False), (400, False)])
@pytest.mark.parametrize("status", [200, 403])
def test_a_clock_that_is_off_is_told_also_by_a_refusal(checks, service, ahead, fine, status):
    service.ahead, service.status = ahead, status
    assert checks()["clock"].ok is fine


def test_a_data_store_that_is_not_there_is_named(checks):
    assert checks(ahi_datastore_ids=STORE)["HealthImaging"].ok
    row = checks(ahi_datastore_ids=f"{STORE},{'f' * 32}")["HealthImaging"]
    assert not row.ok
    assert "f" * 32 in row.detail
    assert STORE not in row.detail


def test_files_that_cannot_be_used_are_told_of(checks, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rules]]\nnonsense = 1\n")
    row = checks(access_rules=rules)["rules"]
    assert not row.ok
    assert "nonsense" in row.detail


def test_what_cannot_be_written_is_told_of(checks, tmp_path):
    # where not even root may write
    nowhere = Path("/proc/self/none")
    rows = checks(cache_root=nowhere, audit_log=nowhere / "audit.log")
    assert not rows["disk"].ok
    assert "cannot be written" in rows["disk"].detail
    assert not rows["audit log"].ok


def test_a_user_who_may_only_read_is_told_of(checks, tmp_path):
    url = f"sqlite:///file:{tmp_path}/data/index.sqlite?mode=ro&uri=true"
    row = checks(database_url=url)["rights"]
    assert row.ok
    assert "may only read" in row.detail


def test_a_queue_that_does_not_answer_is_told_of(checks, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    row = checks(index_queue_url="http://127.0.0.1:1/123456789012/events")["queue"]
    assert not row.ok
    assert "secret" not in row.detail


def test_a_shared_cache_that_does_not_answer_is_told_of(checks):
    row = checks(memcached_address="127.0.0.1:1")["shared cache"]
    assert not row.ok
    assert "127.0.0.1:1 does not answer" in row.detail
    assert "shared cache" not in checks()


def test_a_shared_cache_that_answers(checks):
    server = CacheServer("memcached")
    try:
        row = checks(**server.settings)["shared cache"]
    finally:
        server.kill()
    assert (row.ok, row.detail) == (True, "answers")


def test_a_redis_server_that_keeps_sessions_is_told_of(checks):
    server = CacheServer("redis")
    given = {**server.settings, "session_store": "redis", "enable_amazon_elasticache": False}
    try:
        row = checks(**given)["sessions"]
    finally:
        server.kill()
    assert (row.ok, row.detail) == (True, f"Redis at 127.0.0.1:{server.port} answers")
    row = checks(**{**given, "redis_url": f"redis://:hunter2@127.0.0.1:{server.port}"})["sessions"]
    assert not row.ok
    assert row.detail.startswith(f"127.0.0.1:{server.port}: ")
    assert "hunter2" not in row.detail
    assert "sessions" not in checks()
