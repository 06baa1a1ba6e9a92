"""Many instances: a bad one costs only itself (W-10)."""

import pytest

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE
from dicomweb_gateway.errors import CorruptFrame
from dicomweb_gateway.wado.body import chunks
from dicomweb_gateway.wado.collection import Planned, RecentFailures, collect
from tests.routes.archive import CT


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


def test_failures_are_forgotten_after_their_time(planned):
    failures = RecentFailures(seconds=0)
    failures.add(planned[0])
    assert planned[0] not in failures


def test_memory_of_failures_is_bounded(planned):
    failures = RecentFailures(capacity=1)
    failures.add(planned[0])
    failures.add(planned[1])
    assert planned[0] not in failures
    assert planned[1] in failures
