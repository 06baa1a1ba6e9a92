"""Gauges of the running parts, and what administrators are told of settings."""

from dicomweb_gateway.service.live import live_gauges, make_about
from dicomweb_gateway.settings import Settings
from dicomweb_gateway.web.services import HealthReport


class Pool:
    """In place of the frame pool: one fetcher that answers, one that does not."""

    def stats(self):
        return {
            "pool": {},
            "fetchers": [{"running": 3, "demands": 2, "prefetches": 1, "store_bytes": 5}, None],
        }


def test_a_fetcher_that_is_silent_is_down_and_no_more():
    found = {(metric.name, labels): value for metric, labels, value in live_gauges(Pool(), HealthReport, "1")}
    assert found["fetcher_up", ("0",)] == 1
    assert found["fetcher_up", ("1",)] == 0
    assert found["fetch_queue", ("0", "demands")] == 2
    assert not any(labels[:1] == ("1",) for name, labels in found if name == "fetch_queue")
    assert found["healthy", ()] == 1
    ill = live_gauges(Pool(), lambda: HealthReport(failing="index"), "1")
    assert ("healthy", 0) in {(metric.name, value) for metric, _, value in ill}


def test_secrets_are_masked_wherever_they_stand(monkeypatch):
    settings = Settings(
        database_url="mysql+pymysql://root:geheim@db/x",
        boundary_key="geheim",
        ahi_endpoint="http://user:geheim@127.0.0.1:1/",
    )
    about = make_about(settings, Pool(), HealthReport, tuple)
    rows = {name: value for name, value, _ in about.settings}
    assert "geheim" not in repr(about.settings)
    assert rows["AHI_ENDPOINT"] == "http://**********@127.0.0.1:1/"
    assert rows["HOST"] == "not set"
    assert {name for name, _, is_set in about.settings if is_set} >= {"DATABASE_URL", "BOUNDARY_KEY"}
