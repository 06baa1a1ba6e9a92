"""Verified callers that are kept for a while."""

from dicomweb_gateway.access.kept import KeptCallers


def test_each_is_kept_until_its_own_moment():
    now = [100.0]
    kept = KeptCallers(clock=lambda: now[0])
    kept.put(b"a", "anna", 110)
    kept.put(b"b", "ben", 105)
    now[0] = 105
    assert (kept.get(b"a"), kept.get(b"b"), kept.get(b"c")) == ("anna", None, None)
    assert len(kept) == 1


def test_the_oldest_make_room():
    kept = KeptCallers(most=3, clock=lambda: 0.0)
    for number in range(9):
        kept.put(bytes([number]), number, 1)
    assert [kept.get(bytes([number])) for number in range(9)] == [None] * 6 + [6, 7, 8]
    kept.drop(bytes([8]))
    kept.drop(b"unknown")
    assert len(kept) == 2
