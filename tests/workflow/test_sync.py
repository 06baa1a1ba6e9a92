"""Bringing the index up to date with a store (DESIGN 2; healthimaging.md 2.5, 4.3, 6.3)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dicomweb_gateway.errors import UpstreamFailed, UpstreamNotFound, UpstreamTimeout
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef, ImageSetSummary
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.sync import Synchroniser, SyncReport
from tests.routes.archive import STORE, hex_id, image_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """An image set store in memory; an exception in place of a document is raised."""

    def __init__(self):
        self.sets = {}
        self.read = []

    def put(self, name, series="1.2.1", version=1, instances=2, primary=True, content=None):
        found = hex_id("set", name)
        blob = content or image_set(series, [{"tags": {}}] * instances).replace(
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

    def metadata(self, ref):
        self.read.append((ref.image_set_id, ref.version_id))
        blob = self.sets[ref.image_set_id][2]
        if isinstance(blob, Exception):
            raise blob
        return blob


class House:
    def __init__(self, folder):
        url = f"sqlite:///{folder}/index.sqlite"
        upgrade(url)
        self.writer, self.store = IndexWriter(url), Store()
        self.sync = Synchroniser(self.writer, self.store)
        self.engine = make_engine(url)

    @property
    def reader(self):
        return IndexReader(self.engine, cache_seconds=0)

    def run(self):
        return self.sync.data_store(STORE)


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
