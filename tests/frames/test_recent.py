from dicomweb_gateway.frames.recent import RecentFrames
from tests.frames.conftest import key_of


def test_the_last_ones_are_kept_within_the_budget():
    recent = RecentFrames(max_bytes=100)
    for number in range(5):
        recent.keep(key_of(number), bytes(40))
    assert [number for number in range(5) if recent.get(key_of(number)) is not None] == [3, 4]
    recent.keep(key_of(9), bytes(101))
    recent.keep(key_of(4), bytes(10))
    assert recent.get(key_of(9)) is None
    assert recent.get(key_of(4)) == bytes(10)
    recent.keep(key_of(5), bytes(50))
    assert recent.get(key_of(3)) is not None


def test_none_is_kept_for_longer_than_a_moment():
    recent = RecentFrames(max_bytes=100, seconds=0)
    recent.keep(key_of(1), bytes(40))
    assert recent.get(key_of(1)) is None
    recent.expire()
    assert recent._bytes == 0
