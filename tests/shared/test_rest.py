"""A server that fails is left alone, longer each time, and tried by one."""

from dicomweb_gateway.shared.rest import FAILURES, Rest


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def rested(clock):
    rest = Rest(clock)
    assert [rest.failed() for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return rest


def test_a_few_failures_are_nothing():
    rest = Rest(Clock())
    for _ in range(FAILURES - 1):
        rest.failed()
    assert rest.may_ask()
    assert rest.passed() is False


def test_during_a_rest_nothing_is_asked_and_then_one_thing():
    clock = Clock()
    rest = rested(clock)
    assert not rest.may_ask()
    clock.now += 1.1
    assert [rest.may_ask() for _ in range(3)] == [True, False, False]
    assert rest.passed() is True
    assert rest.may_ask()


def test_rests_grow_to_half_a_minute():
    clock = Clock()
    rest = rested(clock)
    lengths = []
    for _ in range(8):
        began = clock.now
        while not rest.may_ask():
            clock.now += 0.5
        lengths.append(clock.now - began)
        assert rest.failed() is False
    assert lengths == sorted(lengths)
    assert lengths[-1] == 30


def test_what_was_asked_before_a_rest_makes_it_no_longer():
    """Of sixty requests that wait at the same moment each fails."""
    clock = Clock()
    rest = rested(clock)
    assert [rest.failed() for _ in range(60)] == [False] * 60
    clock.now += 1.1
    assert rest.may_ask()
    rest.failed()
    clock.now += 1.5
    assert not rest.may_ask()
    clock.now += 0.6
    assert rest.may_ask()
