"""What was stored is in the index before anybody is told that it is."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from dicomweb_gateway.errors import UpstreamBusy, UpstreamFailed, UpstreamNotFound
from dicomweb_gateway.imagesets.store import ImageSetSummary
from dicomweb_gateway.workflow.arrivals import Arrivals

STORE = "d" * 32


@dataclass
class House:
    """An upstream that lists after `late` looks, and an index that holds what was listed."""

    late: int = 0
    held: set[str] = field(default_factory=set)
    looks: list[str] = field(default_factory=list)
    changes: int = 0

    def find(self, datastore_id: str, study_uid: str) -> list[ImageSetSummary]:
        self.looks.append(study_uid)
        if len(self.looks) <= self.late:
            return []
        return [ImageSetSummary(datastore_id, "a" * 32, 1, True, None, study_uid, None)]

    def listed(self, summaries: Iterable[ImageSetSummary]) -> int:
        for one in summaries:
            self.held.add(f"{one.study_uid}.1")
        return 1

    def changed(self) -> None:
        self.changes += 1

    def arrivals(self) -> Arrivals:
        return Arrivals(lambda: self, self.find, lambda _, uids: set(uids) - self.held, self.changed)


def test_studies_are_looked_for_once_where_they_are_listed():
    house = House()
    house.arrivals().index(STORE, {"1": {"1.1"}, "2": {"2.1"}}, time.monotonic() + 60)
    assert house.looks == ["1", "2"]
    assert house.changes == 1


def test_what_is_listed_late_is_looked_for_again():
    house = House(late=2)
    house.arrivals().index(STORE, {"1": {"1.1"}}, time.monotonic() + 60)
    assert house.looks == ["1"] * 3


def test_what_is_never_listed_is_no_success():
    with pytest.raises(UpstreamBusy, match="stored"):
        House(late=99).arrivals().index(STORE, {"1": {"1.1"}}, time.monotonic() + 0.1)


def test_an_image_set_that_fails_keeps_no_other_out():
    house = House()

    def listed(summaries: Iterable[ImageSetSummary]) -> int:
        for one in summaries:
            if one.image_set_id[0] == "b":
                raise UpstreamFailed("it makes no sense")
            house.held.add(one.image_set_id)
        return 1

    def find(datastore_id: str, study_uid: str) -> list[ImageSetSummary]:
        found = House().find(datastore_id, study_uid)
        return [replace(one, image_set_id=name * 32) for one in found for name in "bc"]

    house.listed, house.find = listed, find
    with pytest.raises(UpstreamFailed):
        house.arrivals().index(STORE, {"1": {"1.1"}}, time.monotonic() + 60)
    assert house.held == {"c" * 32}
    assert house.changes == 1


def test_what_is_there_already_of_a_new_study_is_indexed_first():
    house = House()
    house.arrivals().catch_up(STORE, {"1", "2"})
    assert house.looks == ["1", "2"]
    assert house.changes == 1
    empty = House(late=99)
    empty.arrivals().catch_up(STORE, {"1"})
    assert empty.changes == 0


def test_image_sets_are_read_by_their_id_whatever_is_listed():
    house, read = House(late=99), []

    def image_set(ref):
        read.append(ref.image_set_id)
        if ref.image_set_id == "b":
            raise UpstreamNotFound("it is gone")

    house.image_set = image_set
    house.arrivals().refresh(STORE, {"c", "b", "a"})
    assert read == ["a", "b", "c"]
    assert (house.looks, house.changes) == ([], 1)
