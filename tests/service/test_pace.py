"""Slow clients are told from those that the gateway itself keeps waiting."""

from types import SimpleNamespace

from dicomweb_gateway.service.pace import Pace
from dicomweb_gateway.service.server_limits import ServerLimits


def looks(pace, *each):
    return [pace.is_too_slow(*one) for one in each]


def test_a_reader_that_takes_little_for_long():
    pace = Pace(ServerLimits(slowest=100))
    assert looks(pace, (0, None, 50, 0), (10, None, 50, 10), (31, None, 50, 20)) == [False, False, True]


def test_a_reader_that_takes_enough():
    pace = Pace(ServerLimits(slowest=100))
    assert looks(pace, (0, None, 50, 0), (31, None, 50, 4000), (62, None, 50, 8000)) == [False] * 3


def test_an_answer_that_is_not_made_any_faster():
    """Nothing waits for the reader: the gateway is the slow one."""
    pace = Pace(ServerLimits(slowest=100))
    assert (
        looks(pace, (0, None, 50, 0), (20, None, 0, 50), (40, None, 50, 60), (60, None, 50, 60))
        == [False] * 4
    )


def test_slow_clients_may_be_allowed():
    pace = Pace(ServerLimits(slowest=0))
    body = SimpleNamespace(headers_finished=True, body_bytes_received=0)
    assert looks(pace, (0, body, 50, 0), (300, body, 50, 0)) == [False] * 2


def test_a_body_is_given_time_by_its_size():
    pace = Pace(ServerLimits(slowest=100))
    body = SimpleNamespace(headers_finished=True, body_bytes_received=4000)
    assert looks(pace, (0, body, 0, 0), (31, body, 0, 0), (41, body, 0, 0)) == [False, False, True]


def test_each_head_has_its_own_time():
    pace = Pace(ServerLimits(header_seconds=10))
    one, other = (SimpleNamespace(headers_finished=False, body_bytes_received=0) for _ in range(2))
    assert looks(pace, (0, one, 0, 0), (9, other, 0, 0), (18, other, 0, 0)) == [False] * 3
    assert pace.is_too_slow(19, other, 0, 0)
