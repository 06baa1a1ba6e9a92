"""Bringing the index up to date with a store (DESIGN 2; healthimaging.md 2.5, 4.3, 6.3)."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dicomweb_gateway.errors import (
    IndexUnavailable,
    ResourceGone,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef, ImageSetSummary
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.sync import Synchroniser
from dicomweb_gateway.workflow.sync_report import SyncReport
from tests.index_files import migrated_file
from tests.routes.archive import STORE, hex_id, image_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """An image set store in memory; an exception in place of a document is raised."""

    def __init__(self):
        self.sets = {}
        self.read = []

    def put(self, name, series="1.2.1", version=1, instances=2, primary=True, content=None, tags=None):
        found = hex_id("set", name)
        blob = content or image_set(series, [{"tags": tags or {}}] * instances).replace(
            hex_id("set", series).encode(), found.encode()
        )
        self.sets[found] = (version, primary, blob)
        return found

    def search(self, datastore_id, updated_since=None):
        for found, (version, primary, _) in list(self.sets.items()):
            if isinstance(version, Exception):
                raise version
            yield ImageSetSummary(datastore_id, found, version, primary, NOW, None, None)

    def image_set(self, ref):
        if ref.image_set_id not in self.sets:
            raise UpstreamNotFound("no such image set")
        version, primary, blob = self.sets[ref.image_set_id]
        state = "DELETED" if blob == b"deleted" else "ACTIVE"
        return ImageSetProperties(replace(ref, version_id=str(version)), state, primary, NOW)

    def metadata(self, ref, deadline=None):
        self.read.append((ref.image_set_id, ref.version_id))
        blob = self.sets[ref.image_set_id][2]
        if isinstance(blob, Exception):
            raise blob
        return blob


class House:
    def __init__(self, folder):
        url = migrated_file(folder / "index.sqlite")
        self.writer, self.store = IndexWriter(url), Store()
        self.sync = Synchroniser(self.writer, self.store)
        self.engine = make_engine(url)

    @property
    def reader(self):
        return IndexReader(self.engine, cache_seconds=0)

    def run(self):
        return self.sync.data_store(STORE)

    def lose_index_after(self, number):
        """It takes so many image sets more; `del house.writer.put` brings it back."""
        put, left = self.writer.put, [number]

        def put_some(*arguments, **keywords):
            if not left[0]:
                raise IndexUnavailable("gone")
            left[0] -= 1
            return put(*arguments, **keywords)

        self.writer.put = put_some


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def figures(report):
    return report.indexed, report.unchanged, report.removed, len(report.failures)


def test_new_then_unchanged_then_newer_then_gone(house):
    one, two = house.store.put("one"), house.store.put("two", "1.2.2")
    assert figures(house.run()) == (2, 0, 0, 0)
    assert house.writer.counts() == {"studies": 1, "series": 2, "instances": 4}
    house.store.read.clear()
    assert figures(house.run()) == (0, 2, 0, 0)
    assert house.store.read == []
    house.store.put("one", version=2, instances=3)
    assert figures(house.run()) == (1, 1, 0, 0)
    assert house.store.read == [(one, "2")]
    assert house.writer.known(STORE) == {one: 2, two: 1}
    del house.store.sets[one]
    assert figures(house.run()) == (0, 1, 1, 0)
    assert house.writer.counts() == {"studies": 1, "series": 1, "instances": 2}


@pytest.mark.parametrize(
    "content",
    [
        UpstreamTimeout("late"),
        UpstreamFailed("5xx"),
        b"{}",
        b"<html>",
        b'{"DatastoreID":"d","ImageSetID":"i","Study":{"Series":{"1":{"Instances":{"1":{"ImageFrames":[{}]}}}}}}',
    ],
    ids=["timeout", "5xx", "empty", "html", "malformed frame"],
)
def test_one_that_fails_is_noted_and_the_rest_goes_on(house, content):
    bad = house.store.put("a bad one", "1.2.3", content=content)
    good = house.store.put("one")
    report = house.run()
    assert figures(report) == (1, 0, 0, 1)
    assert list(report.failures) == [bad]
    assert house.writer.known(STORE) == {good: 1}
    # it is tried again the next time, and what is indexed meanwhile stays
    house.store.put("a bad one", "1.2.3")
    assert figures(house.run()) == (1, 1, 0, 0)


def test_a_broken_list_removes_nothing(house):
    one = house.store.put("one")
    house.run()
    house.store.sets = {one: (UpstreamTimeout("late"), True, b"")}
    with pytest.raises(UpstreamTimeout):
        house.run()
    assert house.writer.known(STORE) == {one: 1}


def test_progress_is_told(house):
    house.store.put("one")
    house.store.put("two", "1.2.2")
    seen: list[int] = []

    def look(report: SyncReport) -> None:
        seen.append(report.indexed)

    house.sync.data_store(STORE, look)
    assert seen == [1, 2]


def test_one_image_set_by_name(house):
    one = house.store.put("one", version=4)
    assert house.sync.image_set(ImageSetRef(STORE, one)) == 2
    assert house.writer.known(STORE) == {one: 4}


@pytest.mark.parametrize("gone", ["deleted", "unknown"])
def test_one_that_is_gone_leaves_the_index(house, gone):
    one = house.store.put("one")
    house.run()
    if gone == "deleted":
        house.store.put("one", content=b"deleted")
    else:
        house.store.sets.clear()
    with pytest.raises(UpstreamNotFound):
        house.sync.image_set(ImageSetRef(STORE, one))
    assert house.writer.known(STORE) == {}


def test_when_the_winner_goes_the_other_gives_the_instances(house):
    winner = house.store.put("primary", primary=True)
    other = house.store.put("older", primary=False)
    house.run()
    path = ("1.2", "1.2.1", "1.2.1.1")
    assert house.reader.instance(*path).image_set.image_set_id == winner
    del house.store.sets[winner]
    house.run()
    assert house.reader.instance(*path).image_set.image_set_id == other
    assert house.writer.counts()["instances"] == 2


def test_failures_are_remembered_and_retried(house):
    bad = house.store.put("bad", content=UpstreamFailed("broken"))
    house.run()
    house.run()
    (noted,) = house.writer.failures()
    assert (noted.imagesetid, noted.version, noted.attempts) == (bad, 1, 2)
    assert figures(house.sync.retry()) == (0, 0, 0, 1)
    house.store.put("bad")
    assert figures(house.sync.retry()) == (1, 0, 0, 0)
    assert house.writer.failures() == []
    assert house.writer.known(STORE) == {bad: 1}


def test_a_failure_whose_image_set_is_gone_is_forgotten(house):
    bad = house.store.put("bad", content=UpstreamFailed("broken"))
    house.run()
    del house.store.sets[bad]
    assert figures(house.sync.retry()) == (0, 0, 1, 0)
    assert house.writer.failures() == []


def test_a_run_is_kept_with_its_figures(house):
    house.store.put("one")
    house.run()
    (run,) = house.writer.sync_runs()
    assert (run.datastoreid, run.indexed, run.failed) == (STORE, 1, 0)
    assert run.completed_at is not None
    house.store.sets = {hex_id("x"): (UpstreamTimeout("late"), True, b"")}
    with pytest.raises(UpstreamTimeout):
        house.run()
    (run,) = house.writer.sync_runs()
    assert run.completed_at is None


def test_a_broken_off_run_goes_on_where_it_stopped(house):
    """The index goes away in the middle; the next run reads only what is still missing."""
    for number in range(20):
        house.store.put(f"set {number}", f"1.2.{number + 1}")
    house.lose_index_after(7)
    with pytest.raises(IndexUnavailable):
        Synchroniser(house.writer, house.store, workers=1).data_store(STORE)
    del house.writer.put
    assert len(house.writer.known(STORE)) == 7
    house.store.read.clear()
    assert figures(house.run()) == (13, 7, 0, 0)
    assert len(house.store.read) == 13
    assert house.writer.counts() == {"studies": 1, "series": 20, "instances": 40}


def test_several_are_read_at_once_but_no_more_than_allowed(house):
    for number in range(12):
        house.store.put(f"set {number}", f"1.2.{number + 1}")
    metadata, lock, together = house.store.metadata, threading.Lock(), Counter()
    barrier = threading.Barrier(3)

    def slow(ref):
        with lock:
            together["now"] += 1
            together["most"] = max(together["most"], together["now"])
        barrier.wait(10)
        blob = metadata(ref)
        with lock:
            together["now"] -= 1
        return blob

    house.store.metadata = slow
    Synchroniser(house.writer, house.store, workers=3).data_store(STORE)
    assert together["most"] == 3
    assert house.writer.counts()["series"] == 12


def test_since_looks_at_changes_only_and_removes_nothing(house):
    one = house.store.put("one")
    house.run()
    house.store.sets.clear()
    two = house.store.put("two", "1.2.2")
    asked = []
    search = house.store.search
    house.store.search = lambda datastore_id, since: asked.append(since) or search(datastore_id, since)
    assert figures(house.sync.data_store(STORE, since=NOW)) == (1, 0, 0, 0)
    assert asked == [NOW]
    assert house.writer.known(STORE) == {one: 1, two: 1}


def test_again_indexes_what_is_unchanged_too(house):
    one = house.store.put("one")
    house.run()
    house.store.read.clear()
    assert figures(house.sync.data_store(STORE, again=True)) == (1, 0, 0, 0)
    assert house.store.read == [(one, "1")]
    del house.store.sets[one]
    assert figures(house.sync.data_store(STORE, again=True)) == (0, 0, 1, 0)


def test_what_is_only_missing_in_the_list_stays(house):
    one = house.store.put("one")
    house.run()
    house.store.search = lambda datastore_id, since=None: iter(())
    assert figures(house.run()) == (0, 0, 0, 0)
    assert figures(house.sync.prune(STORE)) == (0, 1, 0, 0)
    assert house.writer.known(STORE) == {one: 1}


def test_prune_removes_and_indexes_nothing(house):
    one = house.store.put("one")
    house.run()
    del house.store.sets[one]
    house.store.put("two", "1.2.2")
    assert figures(house.sync.prune(STORE)) == (0, 0, 1, 0)
    assert house.writer.known(STORE) == {}
    with pytest.raises(ResourceGone):
        house.reader.instance("1.2", "1.2.1", "1.2.1.1")


@pytest.mark.parametrize("listed", [True, False])
def test_prune_of_a_data_store_that_is_gone(house, listed):
    one = house.store.put("one")
    house.run()
    house.store.sets.clear()

    def search(datastore_id, since=None):
        raise UpstreamNotFound("no such data store")

    house.store.search = search
    house.store.data_store_ids = lambda: [STORE] if listed else []
    if listed:
        with pytest.raises(UpstreamNotFound):
            house.sync.prune(STORE)
        assert house.writer.known(STORE) == {one: 1}
    else:
        assert figures(house.sync.prune(STORE)) == (0, 0, 1, 0)


def test_throttled_reads_are_tried_again(house, monkeypatch):
    pauses = []
    monkeypatch.setattr("dicomweb_gateway.workflow.image_set_indexing.time.sleep", pauses.append)
    one = house.store.put("one")
    answers = [UpstreamThrottled("slow down")] * 3
    metadata = house.store.metadata

    def throttled(ref):
        if answers:
            raise answers.pop()
        return metadata(ref)

    house.store.metadata = throttled
    assert figures(house.run()) == (1, 0, 0, 0)
    assert pauses == [1, 2, 4]
    assert house.writer.known(STORE) == {one: 1}


def test_an_heir_that_fails_is_noted_under_its_own_name(house):
    winner = house.store.put("primary", primary=True)
    other = house.store.put("older", primary=False)
    house.run()
    del house.store.sets[winner]
    house.store.put("older", primary=False, content=UpstreamFailed("broken"))
    house.run()
    assert [failure.imagesetid for failure in house.writer.failures()] == [other]


def test_other_data_stores_are_not_indexed_again(house):
    """Neither what failed there earlier nor what they hold of an image set that went."""
    one, heir = house.store.put("one"), house.store.put("heir", primary=False)
    blob = house.store.sets[heir][2].replace(STORE.encode(), b"e" * 32)
    house.store.put("heir", primary=False, content=blob)
    foreign = ImageSetRef("e" * 32, heir)
    house.sync.image_set(ImageSetRef(STORE, one))
    house.sync.image_set(foreign)
    house.writer.note_failure(foreign, "broken")
    house.store.read.clear()
    locked = Synchroniser(house.writer, house.store, allowed=frozenset({STORE}))
    assert locked.retry().found == 0
    locked.remove(ImageSetRef(STORE, one))
    assert house.store.read == []
    assert len(house.writer.failures()) == 1
    house.sync.retry()
    assert house.store.read == [(heir, "1")]
