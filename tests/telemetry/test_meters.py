"""Numbers of several processes: nothing is lost when one is killed, and nothing goes backwards."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicomweb_gateway.telemetry import meters
from dicomweb_gateway.telemetry.catalogue import (
    FETCH_ERRORS,
    IN_FLIGHT,
    METRICS,
    PART_SECONDS,
    REFUSALS,
    UNCOUNTED,
)
from dicomweb_gateway.telemetry.meters import Meters, SharedMeters
from dicomweb_gateway.telemetry.rows import ROW_BYTES


@pytest.fixture
def shared() -> Iterator[SharedMeters]:
    before = meters.here()
    made = SharedMeters(web=2, fetchers=1)
    meters.start(made.claim("master"))
    yield made
    meters.start(before)


def killed_after(work: Callable[[], None]) -> None:
    """Do `work` in a fork that is then killed as by the kernel."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_killed_processes_counted_stays_and_their_successors_go_on(shared: SharedMeters) -> None:
    def work() -> None:
        own = shared.claim("web", 0)
        own.add(REFUSALS, ("decoders",), 3)
        own.observe(PART_SECONDS, 0.02, ("index",))
        own.add(IN_FLIGHT, (), 5)

    for _ in range(3):
        killed_after(work)
    killed_after(lambda: shared.claim("web", 1).add(REFUSALS, ("decoders",), 10))
    meters.count(REFUSALS, ("decoders",), 1)
    found = meters.totals()
    assert found[REFUSALS.name, ("decoders",)] == [20]
    part = found[PART_SECONDS.name, ("index",)]
    assert sum(part[:-1]) == 3
    assert part[-1] == pytest.approx(0.06)
    # nobody has anything under way any more
    assert (IN_FLIGHT.name, ()) not in found
    assert meters.live_processes() == 1


def test_places_are_used_again_by_those_who_come_later(shared: SharedMeters) -> None:
    for _ in range(20):
        killed_after(lambda: shared.claim("fetcher", 0).add(FETCH_ERRORS, ("CorruptFrame",)))
    assert meters.totals()[FETCH_ERRORS.name, ("CorruptFrame",)] == [20]
    assert sum(bool(shared.rows.owner(row)) for row in range(shared.rows.count)) == 2


def test_threads_lose_nothing(shared: SharedMeters) -> None:
    def work(_: int) -> None:
        for _ in range(2000):
            meters.count(REFUSALS, ("client_rate",))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert meters.totals()[REFUSALS.name, ("client_rate",)] == [16000]


def test_labels_without_end_are_bounded_and_told_of() -> None:
    one = SharedMeters().claim("master")
    for number in range(ROW_BYTES // 32):
        one.add(FETCH_ERRORS, (f"{number:040}",))
    one.observe(PART_SECONDS, 1, ("x" * 40,))
    one.add(REFUSALS, ("decoders",))
    assert sum(entry.key != "" for entry in one.rows.entries(0)) < ROW_BYTES // 32
    assert one.rows.cells[one.places((UNCOUNTED, ()))[0]] > 0 or UNCOUNTED.name in {
        entry.key for entry in one.rows.entries(0)
    }


def test_labels_must_be_those_of_the_metric() -> None:
    with pytest.raises(ValueError, match="labels"):
        SharedMeters().claim("master").add(REFUSALS)


def test_the_last_failures_of_all_processes_newest_first(shared: SharedMeters) -> None:
    for number in range(40):
        meters.note_failure({"time": f"{number:03}", "status": 502})
    killed_after(lambda: shared.claim("web", 0).note({"time": "999", "status": 503}))
    found = meters.failures()
    assert [one["time"] for one in found[:3]] == ["999", "039", "038"]
    assert len(found) == 33
    meters.note_failure({"time": "x" * 5000})
    assert meters.failures()[0]["time"] == "999"


def test_who_finds_no_row_counts_for_itself(shared: SharedMeters) -> None:
    mine = [shared.claim("web", 0)]
    assert isinstance(mine[0], Meters)
    assert shared.claim("web", 0).row == mine[0].row
    for row in range(1, 4):
        shared.rows._memory[row * ROW_BYTES : row * ROW_BYTES + 8] = (1).to_bytes(8, "little")
    assert shared.claim("web", 0).rows is not shared.rows


def test_every_metric_says_what_it_means() -> None:
    for metric in METRICS.values():
        assert len(metric.meaning) > 10
        assert metric.name == metric.name.lower()
        assert "id" not in metric.labels
