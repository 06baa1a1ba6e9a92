"""Calls that go through the SDK are counted as those that do not."""

import pytest

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.telemetry.catalogue import UPSTREAM_CALLS, UPSTREAM_FAILURES, UPSTREAM_SECONDS
from dicomweb_gateway.telemetry.meters import totals
from tests.emulator.running import running


def numbers() -> list[float]:
    found = totals()
    labels = ("ListDatastores",)
    seconds = found.get((UPSTREAM_SECONDS.name, labels), [0.0])
    counters = [found.get((metric.name, labels), [0.0])[0] for metric in (UPSTREAM_CALLS, UPSTREAM_FAILURES)]
    # the buckets of a histogram, and the seconds behind them
    return [*counters, sum(seconds[:-1])]


def test_calls_are_counted_by_operation(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    before = numbers()
    with running(tmp_path, workers=1) as emulator:
        store = HealthImaging(emulator.url, "us-east-1", connect_timeout=1, read_timeout=5)
        store.ping()
        store.data_store_ids()
    assert [now - then for now, then in zip(numbers(), before, strict=True)] == [2, 0, 2]
    with pytest.raises(UpstreamFailed):
        store.ping()
    calls, failures, timed = (now - then for now, then in zip(numbers(), before, strict=True))
    assert (calls, failures, timed) == (3, 1, 3)
