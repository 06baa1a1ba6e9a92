"""What searches had found is kept for a while, within bounds, and only for the one who searched."""

from dicomweb_gateway.wado.kept_searches import KeptSearches, PageStart, SearchSoFar


def so_far(pages=1, rows=1):
    return SearchSoFar([{"imageSetId": "x" * 100}] * rows, {"sortField": "a"}, PageStart("t", 3), pages)


def test_it_is_kept_for_a_while():
    now = [0.0]
    kept = KeptSearches(keep_seconds=10, clock=lambda: now[0])
    kept.put("a", so_far())
    assert kept.get("a") == so_far()
    assert kept.get("b") is None
    now[0] = 10.0
    assert kept.get("a") is None


def test_the_oldest_makes_room():
    kept = KeptSearches(most_bytes=1000)
    for name in ("a", "b", "c"):
        kept.put(name, so_far(rows=3))
        kept.put(name, so_far(rows=3))
    assert [kept.get(name) is None for name in ("a", "b", "c")] == [True, False, False]
    kept.put("d", so_far(rows=20))
    assert [kept.get(name) for name in ("a", "b", "c", "d")] == [None] * 4
    kept.drop("d")
    kept.put("e", so_far())
    assert kept.get("e") == so_far()
