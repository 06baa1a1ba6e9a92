"""What is fetched ahead of demand (DESIGN 2)."""

from dataclasses import dataclass, field

import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
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
    return series, Prefetcher(series, pool, ahead)


def ask(prefetcher, series, number):
    found = series.records[number]
    prefetcher.asked(found, found.frames[0])


def ids(numbers):
    return [f"{number}-0" for number in numbers]


def test_the_frames_that_follow_in_viewing_order(pool):
    series, prefetcher = opened(30, pool)
    ask(prefetcher, series, 3)
    assert pool.batches == [ids(range(4, 12))]


def test_scrolling_names_each_frame_once_and_in_few_batches(pool):
    series, prefetcher = opened(40, pool)
    for number in range(40):
        ask(prefetcher, series, number)
    named = [frame for batch in pool.batches for frame in batch]
    assert named == ids(range(1, 40))
    assert len(pool.batches) < 15
    assert series.reads == 1


def test_the_last_frame_has_nothing_behind_it(pool):
    series, prefetcher = opened(3, pool)
    ask(prefetcher, series, 2)
    assert [frame for batch in pool.batches for frame in batch] == []


def test_an_unknown_frame_is_ignored(pool):
    _, prefetcher = opened(3, pool)
    stranger = record(9)
    prefetcher.asked(stranger, stranger.frames[0])
    assert pool.batches == []


def test_of_a_very_long_series_only_the_instance_itself_counts(pool):
    series = Series([record(0, 15_000), record(1, 15_000)])
    prefetcher = Prefetcher(series, pool, 8)
    prefetcher.asked(series.records[0], series.records[0].frames[14_998])
    assert pool.batches == [["0-14999"]]
