"""Whoever fails again and again must wait."""

from dicomweb_gateway.access.shared_failures import SharedFailures
from dicomweb_gateway.access.throttle import Throttle
from dicomweb_gateway.errors import TooManyRequests


def waits(throttle, key):
    try:
        throttle.check(key)
    except TooManyRequests as error:
        return error.retry_after
    return 0


def throttle_of(book, now):
    return Throttle(book, free=2, first=1, most=8, forget=100, clock=lambda: now[0])


def test_throttle_doubles_and_forgets():
    now = [1000.0]
    throttle = throttle_of(SharedFailures(1).claim(0), now)
    found = []
    for _ in range(7):
        throttle.note_failure("a")
        found.append(waits(throttle, "a"))
    assert found == [0, 1, 2, 4, 8, 8, 8]
    assert waits(throttle, "b") == 0
    now[0] += 101
    throttle.note_failure("a")
    assert waits(throttle, "a") == 0
    throttle.note_failure("a")
    throttle.note_success("a")
    assert waits(throttle, "a") == 0


def test_failures_hold_in_all_processes_and_a_success_in_one_ends_them():
    shared, now = SharedFailures(2), [1000.0]
    one, other = (throttle_of(shared.claim(number), now) for number in range(2))
    one.note_failure("a")
    now[0] += 1
    other.note_failure("a")
    assert waits(one, "a") == waits(other, "a") == 1
    now[0] += 5
    other.note_success("a")
    now[0] += 1
    for _ in range(2):
        assert waits(one, "a") == 0
        one.note_failure("a")
    assert waits(one, "a") == waits(other, "a") == 1
