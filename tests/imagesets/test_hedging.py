from dicomweb_gateway.imagesets.hedging import Hedging


def learnt(seconds: float) -> Hedging:
    hedging = Hedging()
    for _ in range(100):
        hedging.learn(seconds)
    return hedging


def test_nothing_is_planned_before_enough_is_known():
    hedging = Hedging()
    hedging.learn(0.03)
    assert hedging.plan(lambda: True) is None


def test_the_moment_follows_the_latency_and_has_a_floor():
    quick, slow = learnt(0.01).plan(lambda: True), learnt(0.2).plan(lambda: True)
    assert quick is not None
    assert slow is not None
    assert quick.after == 0.15
    assert abs(slow.after - 0.6) < 1e-9


def overtaken(hedging: Hedging, times: int = 3) -> None:
    for _ in range(times):
        hedging.learn(0.03)


def test_at_most_three_in_a_hundred():
    hedging = learnt(0.03)
    plans = [hedging.plan(lambda: True) for _ in range(10_000)]
    overtaken(hedging)
    sent = sum(plan is not None and plan.allowed() for plan in plans)
    assert 0 < sent <= 310
    again = 0
    for _ in range(10_000):
        plan = hedging.plan(lambda: True)
        overtaken(hedging)
        again += plan is not None and plan.allowed()
    assert 250 <= again <= 310


def test_the_rate_limit_is_asked_too():
    hedging = learnt(0.03)
    plan = hedging.plan(lambda: False)
    overtaken(hedging)
    assert plan is not None
    assert not plan.allowed()


def test_a_call_that_others_have_not_overtaken_is_no_straggler():
    """A frame that is slow as all are, or that everybody waits for, is asked once."""
    hedging = learnt(0.03)
    plan = hedging.plan(lambda: True)
    assert plan is not None
    assert not plan.allowed()
    overtaken(hedging, 2)
    assert not plan.allowed()
    overtaken(hedging, 1)
    assert plan.allowed()
