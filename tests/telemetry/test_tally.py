"""Numbers of a part, told to the meters by their names."""

from dicomweb_gateway.telemetry import meters
from dicomweb_gateway.telemetry.catalogue import FETCHED_BYTES, UPSTREAM_EVENTS, UPSTREAM_RETRIES
from dicomweb_gateway.telemetry.tally import Tally


def told(metric, *labels):
    return meters.totals().get((metric.name, labels), [0])[0]


def test_one_event_is_one_number_here_and_there():
    tally = Tally(UPSTREAM_EVENTS, {"retries": (UPSTREAM_RETRIES, ())}, ("",))
    before = told(UPSTREAM_RETRIES, "GetX"), told(UPSTREAM_EVENTS, "", "hello")
    tally.of("GetX").add("retries")
    tally.add("hello", 2)
    assert tally.snapshot() == {"retries": 1, "hello": 2}
    assert told(UPSTREAM_RETRIES, "GetX") == before[0] + 1
    assert told(UPSTREAM_EVENTS, "", "hello") == before[1] + 2


def test_without_a_metric_nothing_is_told():
    before = meters.totals()
    Tally().add("bytes", 5)
    assert meters.totals().get((FETCHED_BYTES.name, ())) == before.get((FETCHED_BYTES.name, ()))
