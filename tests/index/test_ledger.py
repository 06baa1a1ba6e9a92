"""Failures, tombstones, synchronisations and what `index status` makes of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from dicomweb_gateway.errors import ResourceGone, ResourceNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import ledger, tombstones
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.ledger_tables import REASON_LENGTH, gateway_tombstone
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.status import index_status
from tests.index.documents import STORE, hex_id, simple


def test_failures_are_counted_until_the_image_set_is_indexed(engine):
    ref = ImageSetRef(STORE, hex_id("a"), "7")
    ledger.note_failure(engine, ref, "first")
    ledger.note_failure(engine, ref, "x" * 5000)
    ledger.note_failure(engine, ImageSetRef(STORE, hex_id("b")), "unknown version")
    found, other = ledger.failures(engine)
    assert (found.imagesetid, found.version, found.attempts) == (hex_id("a"), 7, 2)
    assert found.reason == "x" * REASON_LENGTH
    assert found.first_at <= found.last_at
    assert (other.version, other.attempts) == (None, 1)
    index_image_set(engine, simple("1.2", "a"), version=8)
    assert [one.imagesetid for one in ledger.failures(engine)] == [hex_id("b")]
    remove_image_set(engine, STORE, hex_id("b"))
    assert ledger.failures(engine) == []


PATHS = [("1.2", "1.2.1", "1.2.1.1"), ("1.2", "1.2.1"), ("1.2",)]


def ask(engine, path):
    reader = IndexReader(engine, cache_seconds=0)
    calls = {1: reader.study_series, 2: reader.series_instances, 3: reader.instance}
    return calls[len(path)](*path)


@pytest.mark.parametrize("path", PATHS, ids=len)
def test_what_was_removed_is_gone_for_a_while(engine, path):
    made = simple("1.2", "a", 2)
    with pytest.raises(ResourceNotFound) as unknown:
        ask(engine, path)
    assert not isinstance(unknown.value, ResourceGone)
    index_image_set(engine, made, version=1)
    remove_image_set(engine, STORE, made.image_set_id)
    with pytest.raises(ResourceGone, match=path[-1]):
        ask(engine, path)
    index_image_set(engine, made, version=2)
    assert ask(engine, path)
    remove_image_set(engine, STORE, made.image_set_id)
    with engine.begin() as connection:
        long_ago = datetime.now(UTC).replace(tzinfo=None) - tombstones.KEPT - timedelta(hours=1)
        connection.execute(update(gateway_tombstone).values(removed_at=long_ago))
    with pytest.raises(ResourceNotFound) as forgotten:
        ask(engine, path)
    assert not isinstance(forgotten.value, ResourceGone)


def test_other_paths_are_not_gone(engine):
    made = simple("1.2", "a")
    index_image_set(engine, made, version=1)
    remove_image_set(engine, STORE, made.image_set_id)
    for path in [("1.2", "1.2.2"), ("1.3",), ("1.2", "1.2.1", "1.2.1.9")]:
        with pytest.raises(ResourceNotFound) as error:
            ask(engine, path)
        assert not isinstance(error.value, ResourceGone), path


def test_an_instance_that_a_new_version_drops_is_gone(engine):
    index_image_set(engine, simple("1.2", "a", 2), version=1)
    index_image_set(engine, simple("1.2", "a", 1), version=2)
    with pytest.raises(ResourceGone):
        ask(engine, ("1.2", "1.2.1", "1.2.1.2"))
    assert ask(engine, ("1.2", "1.2.1", "1.2.1.1"))


def test_runs_and_old_tombstones(engine):
    made = simple("1.2", "a", 2)
    index_image_set(engine, made, version=1)
    remove_image_set(engine, STORE, made.image_set_id)
    ledger.sync_started(engine, STORE)
    (run,) = ledger.sync_runs(engine)
    assert (run.datastoreid, run.completed_at, run.indexed) == (STORE, None, 0)
    numbers = {"indexed": 4, "unchanged": 3, "removed": 2, "failed": 1}
    ledger.sync_completed(engine, STORE, numbers)
    (run,) = ledger.sync_runs(engine)
    assert run.completed_at >= run.started_at
    assert (run.indexed, run.unchanged, run.removed, run.failed) == (4, 3, 2, 1)
    assert index_status(engine)["tombstones"] == 2
    with engine.begin() as connection:
        connection.execute(update(gateway_tombstone).values(removed_at=datetime(2020, 1, 1)))
    ledger.sync_completed(engine, STORE, numbers)
    assert index_status(engine)["tombstones"] == 0


def test_status_counts_states_failures_and_names_conflicts(engine):
    index_image_set(engine, simple("1.2", "a"), version=1, is_primary=False)
    index_image_set(engine, simple("1.2", "b"), version=1, is_primary=True)
    index_image_set(engine, simple("1.3", "c"), version=1)
    IndexReader(engine).mark_stale(ImageSetRef(STORE, hex_id("c")))
    ledger.note_failure(engine, ImageSetRef(STORE, hex_id("d"), "1"), "why")
    found = index_status(engine)
    assert {name: found[name] for name in ("studies", "series", "instances", "failures", "conflicts")} == {
        "studies": 2,
        "series": 2,
        "instances": 2,
        "failures": 1,
        "conflicts": 1,
    }
    assert found["image_sets"] == {"active": 2, "stale": 1}
    assert found["conflicting"] == {"1.2.1": [f"{STORE}/{hex_id('b')} (primary)", f"{STORE}/{hex_id('a')}"]}


def test_several_writers_of_one_failure(engine):
    ref = ImageSetRef(STORE, hex_id("a"), "1")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ledger.note_failure(engine, ref, f"reason {number}"), range(16)))
        list(pool.map(lambda _: ledger.sync_started(engine, STORE), range(16)))
    [found] = ledger.failures(engine)
    assert found.attempts == 16
    assert len(ledger.sync_runs(engine)) == 1
