"""Many instances: a bad one costs only itself (W-10)."""

import time
from dataclasses import replace

import orjson
import pytest

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE
from dicomweb_gateway.errors import CorruptFrame, ResourceNotFound
from dicomweb_gateway.wado.body import chunks
from dicomweb_gateway.wado.collection import collect
from dicomweb_gateway.wado.failures import Planned, RecentFailures
from tests.routes.archive import CT, hex_id


@pytest.fixture
def archive(fresh):
    return fresh.services.archive


@pytest.fixture
def planned(archive):
    records = archive.index.series_instances(CT.rpartition(".")[0], CT)
    return [Planned(record, EXPLICIT_VR_LE) for record in records]


def spoil(fresh, plan):
    fresh.frames.frames[plan.record.frames[0].key] = CorruptFrame("it is torn")


def send(produced):
    """The UIDs of what goes out whole, in order."""
    sent = []
    for product in produced:
        assert b"".join(chunks(product.segments))[128:132] == b"DICM"
        sent.append(product.planned.record.instance_uid)
    return sent


def uids(plans):
    return [plan.record.instance_uid for plan in plans]


def test_everything_in_order(archive, planned):
    produced, left_out = collect(archive, planned, RecentFailures())
    assert (send(produced), left_out) == (uids(planned), [])


def test_bad_ones_before_the_first_good_one_are_left_out(fresh, archive, planned):
    spoil(fresh, planned[0])
    produced, left_out = collect(archive, planned, RecentFailures())
    assert left_out == uids(planned[:1])
    assert send(produced) == uids(planned[1:])


def test_metadata_of_one_instance_that_are_nonsense_cost_only_that(fresh, archive, planned):
    documents, name = fresh.image_sets.documents, hex_id("set", CT)
    whole = orjson.loads(documents[name])
    whole["Study"]["Series"][CT]["Instances"][planned[0].record.instance_uid]["DICOM"]["00091002"] = "AAE"
    documents[name] = orjson.dumps(whole)
    produced, left_out = collect(archive, planned, RecentFailures())
    assert left_out == uids(planned[:1])
    assert send(produced) == uids(planned[1:])


def test_a_later_bad_one_cuts_once_and_is_left_out_from_then_on(fresh, archive, planned):
    failures = RecentFailures()
    spoil(fresh, planned[1])
    produced, left_out = collect(archive, planned, failures)
    assert left_out == []
    with pytest.raises(CorruptFrame):
        send(produced)
    produced, left_out = collect(archive, planned, failures)
    assert left_out == uids(planned[1:2])
    assert send(produced) == uids([planned[0], *planned[2:]])


def test_nothing_good_raises_and_is_tried_again(fresh, archive, planned):
    failures = RecentFailures()
    good = dict(fresh.frames.frames)
    for plan in planned:
        spoil(fresh, plan)
    with pytest.raises(CorruptFrame):
        collect(archive, planned, failures)
    fresh.frames.frames.update(good)
    produced, left_out = collect(archive, planned, failures)
    assert (send(produced), left_out) == (uids(planned), [])


def test_frames_are_named_ahead_once_and_within_a_window(fresh, archive, planned):
    stored = [plan._replace(transfer_syntax_uid=plan.record.transfer_syntax_uid) for plan in planned] * 2
    # a frame counts as 1 MB at least
    produced, _ = collect(replace(archive, window_bytes=2 << 20), stored, RecentFailures())
    keys = [plan.record.frames[0].key for plan in stored]
    assert fresh.frames.prefetched == keys[1:3]
    next(produced)
    assert fresh.frames.prefetched == keys[1:3]
    next(produced)
    assert fresh.frames.prefetched == keys[1:4]
    assert [one.planned for one in produced] == stored[2:]
    assert fresh.frames.prefetched == keys[1:]


def test_of_frames_that_are_too_large_together_none_is_fetched_ahead(fresh, archive, planned):
    produced, _ = collect(replace(archive, window_bytes=1 << 20), planned, RecentFailures())
    assert send(produced) == uids(planned)
    assert fresh.frames.prefetched == []


def test_a_series_of_many_instances_is_planned_in_no_time(archive, planned):
    many = [Planned(replace(planned[0].record, instance_uid=str(n)), EXPLICIT_VR_LE) for n in range(20_000)]
    failures = RecentFailures()
    failures.add(many[1])
    began = time.process_time()
    with pytest.raises(ResourceNotFound):
        collect(archive, [many[1]], failures)
    assert failures.recent(many) == {1}
    assert time.process_time() - began < 2
