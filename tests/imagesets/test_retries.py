import time

import pytest

from dicomweb_gateway.errors import UpstreamFailed, UpstreamThrottled, UpstreamTimeout, UpstreamUnavailable
from dicomweb_gateway.imagesets.aws_errors import ServerFault
from dicomweb_gateway.imagesets.pacing import SharedRate
from dicomweb_gateway.imagesets.retries import Persistence, RetryBudget
from dicomweb_gateway.telemetry.tally import Tally


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("dicomweb_gateway.imagesets.retries.time.sleep", waits.append)
    return waits


def persistence(rate: SharedRate | None = None, tally: Tally | None = None) -> Persistence:
    return Persistence("GetImageFrame", lambda _: rate, tally or Tally(), busy_seconds=1, patience=1)


class Failing:
    """Raises what it is given, counts its calls."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        raise self.error


def test_a_budget_is_spent_by_failures_and_filled_by_successes():
    budget = RetryBudget()
    spent = 0
    while budget.spend(ServerFault("x")):
        spent += 1
    assert spent == 100
    for _ in range(5):
        budget.passed()
    assert budget.spend(ServerFault("x"))
    assert not budget.spend(ServerFault("x"))


def test_a_store_that_fails_as_a_whole_is_not_asked_three_times_for_everything(slept):
    tally = Tally()
    calls = persistence(tally=tally)
    once = Failing(ServerFault("x"))
    for _ in range(200):
        # always the same frame, which never opens the breaker
        with pytest.raises(ServerFault):
            calls.run(once, "d", "frame")
    assert once.calls == 200 + 100
    assert tally.snapshot()["retries"] == 100


def test_many_frames_that_fail_open_the_breaker(slept):
    calls = persistence()
    once = Failing(ServerFault("x"))
    for number in range(9):
        with pytest.raises((ServerFault, UpstreamUnavailable)):
            calls.run(once, "d", f"frame {number}")
    with pytest.raises(UpstreamUnavailable):
        calls.run(once, "d", "another")
    assert once.calls == 10


@pytest.mark.parametrize(
    "error", [UpstreamThrottled("x", 1), UpstreamFailed("400"), UpstreamUnavailable("x")]
)
def test_what_shows_that_it_is_there_never_opens_the_breaker(slept, error):
    calls = persistence()
    for number in range(40):
        with pytest.raises(type(error)):
            calls.run(Failing(error), "d", f"frame {number}")
    assert calls.run(lambda: b"frame", "d", "x") == b"frame"


def test_the_other_side_says_when_to_come_back(slept):
    with pytest.raises(UpstreamThrottled):
        persistence().run(Failing(UpstreamThrottled("x", 3)), "d", "x")
    assert slept == [3, 3]


def test_no_retry_that_could_not_begin_before_the_deadline(slept):
    once = Failing(UpstreamThrottled("x", 3))
    with pytest.raises(UpstreamThrottled):
        persistence().run(once, "d", "x", deadline=time.monotonic() + 2)
    assert once.calls == 1
    assert slept == []


def test_a_try_that_the_deadline_cut_short_says_nothing(slept):
    calls = persistence()

    def once() -> bytes:
        while time.monotonic() < deadline:
            pass
        raise UpstreamTimeout("cut")

    for number in range(15):
        deadline = time.monotonic() + 0.002
        with pytest.raises(UpstreamTimeout):
            calls.run(once, "d", f"frame {number}", deadline)
    assert calls.run(lambda: b"frame", "d", "x") == b"frame"


def test_a_refusal_slows_the_shared_rate(slept):
    rate = SharedRate(1000, "one")
    with pytest.raises(UpstreamThrottled):
        persistence(rate).run(Failing(UpstreamThrottled("x")), "d", "x")
    assert rate.rate() < 700
