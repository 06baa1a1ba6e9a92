"""The numbers of `index watch` on their port."""

from types import SimpleNamespace

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from dicomweb_gateway.errors import IndexUnavailable, SettingsError
from dicomweb_gateway.service.watch_numbers import told_on, watch_gauges

TIMES = SimpleNamespace(polled_at=1_000.5, reconciled_at=0.0)


def fails() -> int:
    raise IndexUnavailable("away")


def test_what_does_not_answer_has_no_number() -> None:
    queue = SimpleNamespace(waiting=fails, dead=lambda: None)
    assert [value for _, _, value in watch_gauges(TIMES, queue, fails)] == [1_000.5, 0.0]


def test_numbers_are_told_and_nothing_else_is_there() -> None:
    queue = SimpleNamespace(waiting=lambda: 7, dead=lambda: 2)
    with told_on("127.0.0.1", 0, (), lambda: watch_gauges(TIMES, queue, lambda: 3)) as port:
        root = f"http://127.0.0.1:{port}"
        told = requests.get(f"{root}/metrics", timeout=30)
        families = {family.name: family for family in text_string_to_metric_families(told.text)}
        waiting = families["dicomweb_gateway_watch_queue"].samples
        assert {sample.labels["state"]: sample.value for sample in waiting} == {"waiting": 7.0, "dead": 2.0}
        assert families["dicomweb_gateway_watch_unindexed"].samples[0].value == 3
        assert families["dicomweb_gateway_watch_polled_timestamp_seconds"].samples[0].value == 1_000.5
        for path in ("/", "/status", "/metrics/x"):
            assert requests.get(f"{root}{path}", timeout=30).status_code == 404
        assert requests.post(f"{root}/metrics", timeout=30).status_code == 501
        with (
            pytest.raises(SettingsError, match="WATCH_METRICS: cannot listen"),
            told_on("127.0.0.1", port, (), list),
        ):
            pass


def test_strangers_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomweb_gateway.service.watch_numbers._LOOPBACK", ())
    with told_on("127.0.0.1", 0, ("192.0.2.0/24",), list) as port:
        assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).status_code == 404
    with told_on("127.0.0.1", 0, ("127.0.0.1",), list) as port:
        assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).status_code == 200
