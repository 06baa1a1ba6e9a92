"""Which places are worth fetching next, after which places were asked for."""

import random

from dicomweb_gateway.wado.viewing import ViewingWindow, first_looks


def view(count, places, most=64, seconds=0.05):
    """What each place of `places` causes to be named."""
    window = ViewingWindow(count, most)
    return [window.asked(place, number * seconds) for number, place in enumerate(places)]


def test_from_the_first_place_all_lies_ahead():
    assert view(100, [0]) == [list(range(1, 17))]


def test_in_the_middle_both_directions_count():
    (named,) = view(100, [50])
    assert sorted(named) == [*range(42, 50), *range(51, 59)]
    assert {49, 51} == set(named[:2])


def test_scrolling_is_followed_without_gaps_in_few_batches():
    for places in (range(300), range(299, -1, -1)):
        batches = view(300, places)
        had: set[int] = set()
        for place, batch in zip(places, batches, strict=True):
            assert place == places[0] or place in had
            had.update(batch)
        assert sum(map(bool, batches)) < 40


def test_the_window_lies_in_the_direction_of_travel():
    batches = view(1000, range(500, 520))
    last = [batch for batch in batches if batch][-1]
    assert sum(place > 510 for place in last) > 3 * sum(place < 500 for place in last)
    assert last[0] > 500


def test_what_was_asked_is_not_fetched_again():
    for place, batch in zip(range(300), view(300, range(300)), strict=True):
        assert not any(one <= place for one in batch)


def test_the_window_grows_while_it_is_of_use():
    batches = [batch for batch in view(1000, range(400), most=64) if batch]
    assert len(batches[0]) == 16
    assert max(map(len, batches)) > 48
    assert max(map(len, batches)) <= 64


def test_random_access_is_soon_left_alone():
    places = random.Random(1).sample(range(0, 100_000, 40), 200)
    batches = view(100_000, places)
    assert sum(map(len, batches)) < 50
    assert not any(batches[10:])


def test_after_a_jump_scrolling_goes_on_there():
    batches = view(10_000, [*range(50), 5000, *range(5001, 5040)])
    assert {5001, 4999} <= set(batches[50])
    assert max(max(batch, default=0) for batch in batches) > 5040


def test_scrolling_after_random_access_is_recognised():
    places = [*random.Random(2).sample(range(0, 90_000, 40), 30), *range(95_000, 95_060)]
    named = {place for batch in view(100_000, places) for place in batch}
    assert set(range(95_010, 95_060)) <= named


def test_requests_that_overtake_each_other_change_nothing():
    places = [number ^ 3 for number in range(200)]
    named = {place for batch in view(200, places) for place in batch} | {3}
    # a place that overtook the window was asked before it could be named
    assert len(set(range(4, 200)) - named) < 5
    assert sum(len(batch) for batch in view(200, places)) < 1000


def test_one_of_several_processes_sees_every_third_request():
    places = list(range(0, 300, 3))
    batches = view(300, places)
    assert {place for batch in batches for place in batch} >= set(places[1:])


def test_a_place_is_named_again_after_a_while():
    assert view(10, [4, 4], seconds=31)[1] != []
    assert view(10, [4, 4], seconds=1)[1] == []


def test_a_window_of_one_and_a_series_of_one():
    assert view(10, [0, 1, 2], most=1) == [[1], [2], [3]]
    assert view(1, [0]) == [[]]


def test_first_looks():
    assert [first_looks(count) for count in (0, 1, 2, 3, 9)] == [[], [0], [0, 1], [0, 1, 2], [0, 4, 1, 2]]
