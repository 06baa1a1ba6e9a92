"""Series that are leafed through."""

from dicomweb_gateway.index import neighbours
from dicomweb_gateway.index.neighbours import Neighbours


def test_a_few_lookups_make_a_series_one_that_is_read_whole():
    seen = Neighbours(10)
    assert [seen.looked_up("a") for _ in range(5)] == [False, False, False, True, True]
    assert not seen.looked_up("b")


def test_lookups_long_ago_do_not_count(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(neighbours.time, "monotonic", lambda: now[0])
    seen = Neighbours(10)
    for _ in range(4):
        seen.looked_up("a")
    now[0] += 21
    assert not seen.looked_up("a")


def test_a_very_long_series_is_read_whole_only_once():
    seen = Neighbours(10)
    for _ in range(4):
        seen.looked_up("a")
    seen.learned("a", 4001)
    assert not any(seen.looked_up("a") for _ in range(10))


def test_without_a_cache_nothing_is_read_ahead():
    seen = Neighbours(0)
    assert not any(seen.looked_up("a") for _ in range(10))


def test_only_the_latest_series_are_remembered():
    seen = Neighbours(10)
    for _ in range(3):
        seen.looked_up("a")
    for number in range(1024):
        seen.looked_up(number)
    assert not seen.looked_up("a")
