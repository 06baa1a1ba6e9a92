"""What is fetched ahead of demand (DESIGN 2)."""

from dataclasses import dataclass, field, replace

import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import IndexUnavailable, ResourceNotFound
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight
from dicomweb_gateway.wado.prefetch import Prefetcher

SYNTAX = "1.2.840.10008.1.2.4.202"


def record(number, frames=1):
    keys = [FrameKey("d", "i", f"{number}-{frame}") for frame in range(frames)]
    wanted = tuple(WantedFrame(key, SYNTAX) for key in keys)
    reference = ImageSetRef("d", "i", "1")
    return InstanceRecord(
        "1", "1.1", f"1.1.{number}", "1.2", reference, SYNTAX, PixelDescription(8, 8), wanted, "CT", number
    )


@dataclass
class Series:
    """An index of one series that counts how often it is read."""

    records: list
    reads: int = 0
    sight: Sight = EVERYTHING

    def series_instances(self, study_uid, series_uid):
        self.reads += 1
        return self.records


@dataclass
class Pool:
    batches: list = field(default_factory=list)

    def prefetch(self, wanted):
        self.batches.append([frame.key.frame_id for frame in wanted])


@pytest.fixture
def pool():
    return Pool()


def opened(count, pool, ahead=8):
    series = Series([record(number) for number in range(count)])
    return series, Prefetcher(pool, ahead, in_background=lambda work: work())


def ask(prefetcher, series, number):
    found = series.records[number]
    prefetcher.asked(series, found, found.frames[0])


def ids(numbers):
    return [f"{number}-0" for number in numbers]


def named(pool):
    return {frame for batch in pool.batches for frame in batch}


def test_the_frames_around_the_first_one_asked(pool):
    series, prefetcher = opened(30, pool)
    ask(prefetcher, series, 10)
    assert named(pool) == set(ids([*range(6, 10), *range(11, 15)]))


def test_scrolling_names_what_follows_in_few_batches(pool):
    series, prefetcher = opened(40, pool)
    for number in range(40):
        ask(prefetcher, series, number)
    assert named(pool) == set(ids(range(1, 40)))
    assert len(pool.batches) < 20
    assert series.reads == 1


def test_the_last_frame_looks_back(pool):
    series, prefetcher = opened(3, pool)
    ask(prefetcher, series, 2)
    assert pool.batches == [ids([1, 0])]


def test_an_unknown_frame_is_ignored(pool):
    series, prefetcher = opened(3, pool)
    stranger = record(9)
    prefetcher.asked(series, stranger, stranger.frames[0])
    assert pool.batches == []


def test_of_a_very_long_series_only_the_instance_itself_counts(pool):
    series = Series([record(0, 15_000), record(1, 15_000)])
    prefetcher = Prefetcher(pool, 8, in_background=lambda work: work())
    prefetcher.asked(series, series.records[0], series.records[0].frames[14_999])
    assert pool.batches == [[f"0-{number}" for number in range(14_998, 14_990, -1)]]


def test_no_request_waits_for_the_look_up(pool):
    work = []
    series = Series([record(number) for number in range(40)])
    prefetcher = Prefetcher(pool, 8, in_background=work.append)
    for number in (0, 1, 20):
        ask(prefetcher, series, number)
    assert (len(work), series.reads, pool.batches) == (1, 0, [])
    work[0]()
    assert {"19-0", "21-0"} <= named(pool)


@pytest.mark.parametrize("trouble", [IndexUnavailable("down"), ResourceNotFound("gone"), KeyError("a bug")])
def test_a_look_up_that_fails_is_made_again_at_the_next_request(pool, trouble):
    class Failing(Series):
        def series_instances(self, study_uid, series_uid):
            super().series_instances(study_uid, series_uid)
            raise trouble

    series = Failing([record(0)])
    prefetcher = Prefetcher(pool, 8, in_background=lambda work: work())
    ask(prefetcher, series, 0)
    ask(prefetcher, series, 0)
    assert (series.reads, pool.batches) == (2, [])


def test_large_frames_are_fetched_one_by_one(pool):
    large = replace(record(0, 9), pixels=PixelDescription(5000, 5000))
    prefetcher = Prefetcher(pool, 64, 30 << 20, in_background=lambda work: work())
    prefetcher.asked(Series([large]), large, large.frames[0])
    assert pool.batches == [["0-1"]]


def test_a_series_that_is_opened_has_its_first_frames_fetched(pool):
    series, prefetcher = opened(100, pool)
    prefetcher.opened(series, "1", "1.1")
    assert pool.batches == [ids([0, 50, 1, 2])]
    prefetcher.opened(series, "1", "1.1")
    ask(prefetcher, series, 0)
    assert series.reads == 1


def test_a_series_that_is_asked_while_it_is_looked_up_goes_on_from_there(pool):
    later = []
    series = Series([record(number) for number in range(40)])
    prefetcher = Prefetcher(pool, 8, in_background=later.append)
    prefetcher.opened(series, "1", "1.1")
    ask(prefetcher, series, 20)
    (look_up,) = later
    look_up()
    assert set(pool.batches[0]) <= set(ids(range(10, 30)))


def test_who_opens_many_series_at_once_looks_at_few_of_them(pool):
    series = Series([])
    prefetcher = Prefetcher(pool, in_background=lambda work: work())
    for number in range(500):
        prefetcher.opened(series, "1", f"1.2.{number}")
    assert 8 <= series.reads < 20


def test_a_series_without_frames_has_none_fetched(pool):
    for records in ([], [replace(record(1), frames=(), pixels=None)]):
        Prefetcher(pool, in_background=lambda work: work()).opened(Series(records), "1", "1.1")
    assert pool.batches == []


def test_what_is_remembered_is_bounded(pool):
    series = Series([record(0, 15_000)])
    prefetcher = Prefetcher(pool, 8, in_background=lambda work: work())
    for number in range(10):
        one = replace(series.records[0], series_uid=f"1.2.{number}")
        series.records = [one]
        prefetcher.asked(series, one, one.frames[0])
    assert sum(len(one.frames) for one in prefetcher._open.values()) <= 50_000
    assert len(prefetcher._open) == 3


def test_a_series_that_is_too_long_is_read_once(pool, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.wado.prefetch._LARGEST_SERIES", 5)
    series, prefetcher = opened(8, pool)
    series.records[7] = record(7, frames=3)
    for number in range(8):
        ask(prefetcher, series, number)
    assert series.reads == 1
    assert pool.batches == [["7-1", "7-2"]]


def test_each_sight_has_the_series_as_it_sees_it(pool):
    """An image set that is hidden may give the same series: whoever looks at that one changes nothing."""
    series, prefetcher = opened(30, pool)
    hidden = [record(100 + number) for number in range(30)]
    others = Series(hidden, sight=Sight((Grant(frozenset({"d"})),)))
    ask(prefetcher, others, 10)
    pool.batches.clear()
    for number in (10, 10):
        ask(prefetcher, series, number)
    assert named(pool) == set(ids([*range(6, 10), *range(11, 15)]))
    assert (series.reads, others.reads) == (1, 1)
