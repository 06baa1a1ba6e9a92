"""Frames that were looked up lately: kept one by one, and by image sets that are leafed through."""

import pytest

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.index import hot
from dicomweb_gateway.index.hot_frames import LARGEST, HotFrames
from dicomweb_gateway.index.records import SeenFrame
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight

SET = ("store", "set")
MR = Sight((Grant(wanted=(("Modality", ("MR",)),)),))


def frame(number, modality="CT"):
    return SeenFrame(WantedFrame(FrameKey(*SET, str(number)), "1.2"), {"Modality": modality})


class Index:
    """Holds `size` frames of SET, named by their numbers; notes what is read of it."""

    def __init__(self, size=10):
        self.frames = {str(number): [frame(number)] for number in range(size)}
        self.read = []
        self.broken = False

    def one(self, name):
        self.read.append(name)
        return self.frames.get(name, [])

    def all(self):
        self.read.append("all")
        if self.broken:
            raise IndexUnavailable("away")
        return dict(self.frames)

    def ask(self, kept, name, sight=EVERYTHING):
        return kept.get(sight, (*SET, name), lambda: self.one(name), self.all)


def leafed_through(index, seconds=10.0):
    kept = HotFrames(seconds)
    for number in range(4):
        assert index.ask(kept, str(number)) == frame(number).wanted
    return kept


def test_an_image_set_that_is_leafed_through_is_read_at_once():
    index = Index()
    kept = leafed_through(index)
    assert [index.ask(kept, str(number)) for number in range(10)] == [frame(n).wanted for n in range(10)]
    assert index.read == ["0", "1", "2", "3", "all"]


def test_who_may_not_see_it_has_it_looked_up_like_what_is_unknown_and_has_nothing_read():
    index = Index()
    for kept in (leafed_through(index), HotFrames(10)):
        index.read.clear()
        for name in ("5", "nothing") * 9:
            assert index.ask(kept, name, MR) is None
        assert index.read == ["5", "nothing"] * 9


def test_of_a_frame_that_two_instances_have_the_one_is_found_that_may_be_seen():
    index = Index()
    index.frames["7"].append(frame(7, "MR"))
    kept = leafed_through(index)
    assert index.ask(kept, "7", MR) == frame(7).wanted
    assert index.read[-1] == "all"


def test_what_came_since_is_found():
    index = Index()
    kept = leafed_through(index)
    index.frames["new"] = [frame("new")]
    assert index.ask(kept, "new") == index.ask(kept, "new") == frame("new").wanted
    assert index.read[5:] == ["new"]


def test_what_went_is_found_no_longer_once_its_time_is_over(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(hot.time, "monotonic", lambda: now[0])
    index = Index()
    kept = leafed_through(index)
    gone = index.frames.pop("5")[0]
    now[0] += 9.9
    assert index.ask(kept, "5") == gone.wanted
    now[0] += 0.2
    assert index.ask(kept, "5") is None
    assert index.read[5:] == ["5"]
    # the first that is found has the rest read again
    assert index.ask(kept, "6")
    assert index.ask(kept, "7")
    assert index.read[6:] == ["6", "all"]


def test_what_was_read_before_all_was_forgotten_is_not_kept():
    index = Index()
    kept = leafed_through(index)
    kept.clear()
    whole, index.all = index.all, lambda: (whole(), kept.clear())[0]
    assert index.ask(kept, "5")
    assert index.ask(kept, "6")
    assert index.read[5:] == ["5", "all", "6", "all"]


def test_an_image_set_that_our_tables_do_not_hold_is_read_whole_once_in_its_time():
    index = Index()
    index.all = lambda: index.read.append("all") or {}
    kept = leafed_through(index)
    assert [index.ask(kept, name) for name in ("3", "5", "6")] == [frame(n).wanted for n in (3, 5, 6)]
    assert index.read[3:] == ["3", "all", "5", "6"]
    assert kept._sets._weight == 1


@pytest.mark.parametrize("size", [LARGEST, LARGEST + 1])
def test_a_very_large_image_set_is_read_whole_only_once(size):
    index = Index(size)
    kept = leafed_through(index)
    for number in range(10, 20):
        assert index.ask(kept, str(number)) == frame(number).wanted
    is_kept = size == LARGEST
    assert index.read[5:] == ([] if is_kept else [str(number) for number in range(10, 20)])


def test_a_frame_that_was_found_is_answered_though_the_rest_cannot_be_read():
    index = Index()
    index.broken = True
    kept = leafed_through(index)
    assert index.ask(kept, "5") == frame(5).wanted
    assert index.read[4:] == ["all", "5", "all"]


def test_without_a_cache_nothing_is_read_ahead():
    index = Index()
    leafed_through(index, seconds=0.0)
    assert "all" not in index.read
