"""What failed lately is known to every process (W-10)."""

import os
import time

import pytest

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE
from dicomweb_gateway.wado.failures import Planned, RecentFailures
from tests.routes.archive import CT


@pytest.fixture(scope="module")
def planned(house):
    records = house.services.archive.index.series_instances(CT.rpartition(".")[0], CT)
    return [Planned(record, EXPLICIT_VR_LE) for record in records]


def test_every_process_knows(planned, tmp_path):
    one, other = (RecentFailures(tmp_path / "failures") for _ in range(2))
    assert other.recent(planned) == set()
    one.add(planned[1])
    assert one.recent(planned) == other.recent(planned) == {1}
    other.add(planned[0])
    assert one.recent(planned) == {0, 1}


def test_another_transfer_syntax_is_another_attempt(planned, tmp_path):
    failures = RecentFailures(tmp_path)
    failures.add(planned[0])
    assert failures.recent([planned[0]._replace(transfer_syntax_uid="1.2")]) == set()


@pytest.mark.parametrize("age", [601, -601])
def test_failures_are_forgotten_after_their_time(planned, tmp_path, age):
    RecentFailures(tmp_path).add(planned[0])
    (mark,) = tmp_path.iterdir()
    os.utime(mark, (time.time() - age,) * 2)
    other = RecentFailures(tmp_path)
    assert other.recent(planned) == set()
    other.add(planned[1])
    assert mark not in list(tmp_path.iterdir())


def test_a_failure_counts_anew_each_time(planned, tmp_path):
    one, other = RecentFailures(tmp_path), RecentFailures(tmp_path)
    one.add(planned[0])
    (mark,) = tmp_path.iterdir()
    os.utime(mark, (1, 1))
    assert other.recent(planned) == set()
    one.add(planned[0])
    assert other.recent(planned) == {0}


def test_their_number_is_bounded(planned, tmp_path):
    failures = RecentFailures(tmp_path, capacity=2)
    for plan in planned:
        failures.add(plan)
    assert len(list(tmp_path.iterdir())) == 2
    assert failures.recent(planned) == {1, 2}


def test_a_folder_that_cannot_be_written_leaves_what_this_process_knows(planned, tmp_path):
    (tmp_path / "file").write_text("no folder")
    failures = RecentFailures(tmp_path / "file", capacity=1)
    failures.add(planned[0])
    failures.add(planned[2])
    assert failures.recent(planned) == {2}
