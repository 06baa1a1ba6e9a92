"""Levels 0 in memory: what is kept, and within which bounds."""

from dicomweb_gateway.frames.first_levels import FirstLevels
from tests.frames.conftest import key_of


def test_what_is_kept_comes_back():
    levels = FirstLevels(1 << 20)
    levels.keep(key_of(1), b"one")
    assert levels.get(key_of(1)) == b"one"
    assert levels.get(key_of(2)) is None


def test_the_sum_is_bounded_and_the_longest_unused_goes_first():
    levels = FirstLevels(1 << 20)
    for number in range(1000):
        levels.keep(key_of(number), bytes(5000))
        levels.get(key_of(0))
        assert levels.size <= 1 << 20
    assert levels.get(key_of(0)) is not None
    assert levels.get(key_of(1)) is None
    assert levels.get(key_of(999)) is not None


def test_keeping_again_counts_once():
    levels = FirstLevels(1 << 20)
    for _ in range(9):
        levels.keep(key_of(1), b"one")
    assert levels.size < 1000


def test_large_levels_and_no_room_at_all():
    levels = FirstLevels(1 << 20)
    levels.keep(key_of(1), bytes(1 << 15))
    off = FirstLevels(0)
    off.keep(key_of(1), b"")
    assert levels.get(key_of(1)) is off.get(key_of(1)) is None
