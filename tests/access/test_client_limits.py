"""One client takes no more than its share, and gets it back."""

import pytest

from dicomweb_gateway.access import shared_counts
from dicomweb_gateway.access.client_limits import ClientLimits, ClientRates
from dicomweb_gateway.access.shared_counts import SharedCounts
from dicomweb_gateway.errors import TooManyRequests


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(shared_counts.time, "monotonic", lambda: now[0])
    return now


def limits(**rates):
    return ClientLimits(ClientRates(**rates), SharedCounts(1).claim(0))


def test_a_burst_then_the_rate(clock):
    found = limits(rate=2, burst=10)
    for _ in range(10):
        found.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        found.enter("a")
    assert refused.value.retry_after >= 1
    found.enter("b")
    clock[0] += 5 + refused.value.retry_after
    found.enter("a")


def test_who_goes_on_asking_is_let_in_when_it_is_time(clock):
    """A refused request does not count."""
    found = limits(rate=10, burst=10)
    served = 0
    for _ in range(1000):
        clock[0] += 0.01
        try:
            found.enter("a")
        except TooManyRequests:
            continue
        served += 1
    assert 80 <= served <= 120


def test_requests_at_once():
    found = limits(at_once=2)
    first = found.enter("a")
    found.enter("a")
    with pytest.raises(TooManyRequests):
        found.enter("a")
    found.leave(first)
    found.enter("a")


def test_connections_and_requests_are_counted_apart():
    found = limits(at_once=1, connections=1)
    found.enter("a")
    found.connect("a")
    with pytest.raises(TooManyRequests):
        found.connect("a")


def test_failed_logins(clock):
    found = limits(failed_logins=3)
    for _ in range(3):
        found.login_failed("a")
    with pytest.raises(TooManyRequests):
        found.login_failed("a")
    found.login_failed("b")
    clock[0] += 121
    found.login_failed("a")


def test_nothing_is_counted_without_limits():
    found = limits()
    assert [found.enter("a"), found.connect("a"), found.login_failed("a")] == [None] * 3
