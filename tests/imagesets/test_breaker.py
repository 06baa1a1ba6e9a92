import random

import pytest

from dicomweb_gateway.errors import UpstreamUnavailable
from dicomweb_gateway.imagesets.breaker import FAILURES, Breaker
from dicomweb_gateway.telemetry.tally import Tally


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker(Tally(), clock)


def fail(breaker: Breaker, times: int, thing: str | None = None) -> None:
    for number in range(times):
        breaker.failed(breaker.admit(), thing or f"frame {number}")


def test_it_opens_after_so_many_failures_in_a_row(breaker):
    fail(breaker, FAILURES - 1)
    breaker.check()
    fail(breaker, 1)
    with pytest.raises(UpstreamUnavailable) as caught:
        breaker.check()
    assert caught.value.retry_after == 1


def test_a_success_in_between_begins_anew(breaker):
    fail(breaker, FAILURES - 1)
    breaker.passed()
    fail(breaker, FAILURES - 1)
    breaker.check()


def test_one_bad_frame_does_not_cost_the_others(breaker):
    fail(breaker, 5 * FAILURES, "the bad one")
    breaker.check()


def test_no_connection_concerns_everything(breaker):
    for _ in range(FAILURES):
        breaker.failed(breaker.admit(), None)
    with pytest.raises(UpstreamUnavailable):
        breaker.check()


def test_failures_far_apart_do_not_count_together(breaker, clock):
    for _ in range(3 * FAILURES):
        fail(breaker, 3)
        clock.now += 61
    breaker.check()


def test_single_tries_after_growing_pauses(breaker, clock):
    fail(breaker, FAILURES)
    for pause in (1, 2, 4, 8, 16, 30, 30):
        clock.now += pause - 0.1
        with pytest.raises(UpstreamUnavailable):
            breaker.admit()
        clock.now += 0.2
        assert breaker.admit()
        with pytest.raises(UpstreamUnavailable):
            breaker.admit()
        breaker.failed(True, "x")


def test_it_closes_with_the_first_success(breaker, clock):
    fail(breaker, FAILURES)
    clock.now += 1.1
    assert breaker.admit()
    breaker.passed()
    assert not breaker.admit()
    fail(breaker, FAILURES - 1)
    breaker.check()


def test_a_try_that_says_nothing_makes_room_for_the_next(breaker, clock):
    fail(breaker, FAILURES)
    clock.now += 1.1
    breaker.unknown(breaker.admit())
    assert breaker.admit()


def test_one_failure_in_twenty_never_opens_it(breaker):
    chance = random.Random(5)
    for number in range(50_000):
        probe = breaker.admit()
        if chance.random() < 0.05:
            breaker.failed(probe, f"frame {number}")
        else:
            breaker.passed()
