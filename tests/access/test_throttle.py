"""Whoever fails again and again must wait."""

from dicomweb_gateway.access.throttle import Throttle
from dicomweb_gateway.errors import TooManyRequests


def test_throttle_doubles_forgets_and_stays_small(monkeypatch):
    now = [0.0]
    throttle = Throttle(free=2, first=1, most=8, forget=100, clock=lambda: now[0])
    waits = []
    for _ in range(7):
        throttle.note_failure("a")
        try:
            throttle.check("a")
            waits.append(0)
        except TooManyRequests as error:
            waits.append(error.retry_after)
    assert waits == [0, 1, 2, 4, 8, 8, 8]
    throttle.check("b")
    now[0] += 101
    throttle.note_failure("a")
    throttle.check("a")
    throttle.note_failure("a")
    throttle.note_success("a")
    throttle.check("a")
    monkeypatch.setattr("dicomweb_gateway.access.throttle._MOST_KEYS", 10)
    for number in range(100):
        throttle.note_failure(number)
    assert len(throttle._known) == 10
