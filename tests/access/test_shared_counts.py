"""Clients are counted over processes, in bounded memory, and the dead count no longer."""

import os

import pytest

from dicomweb_gateway.access import shared_counts
from dicomweb_gateway.access.shared_counts import SharedCounts


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(shared_counts.time, "monotonic", lambda: now[0])
    return now


def in_fork(work):
    """The exit code of `work` in another process."""
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_another_process_counts_is_seen_while_it_lives(clock):
    shared = SharedCounts(2)
    ours = shared.claim(0)
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        theirs = shared.claim(1)
        theirs.enter("a", 10)
        theirs.enter("a", 10)
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    ours.enter("a", 10)
    assert ours.usage("a", 10) == (3, 3)
    assert ours.usage("b", 10) == (0, 0)
    os.write(go[1], b".")
    os.waitpid(pid, 0)
    # who takes its place clears what it had under way
    assert in_fork(lambda: shared.claim(1).usage("a", 10).under_way) == 1
    for end in (*ready, *go):
        os.close(end)


def test_a_successor_leaves_the_row_of_one_that_still_ends_its_answers(clock):
    shared = SharedCounts(1)
    old = shared.claim(0)
    ticket = old.enter("a", 10)
    assert in_fork(lambda: shared.claim(0).usage("a", 10).under_way) == 1
    old.leave(ticket)
    assert old.usage("a", 10).under_way == 0


def test_counts_fade_with_time(clock):
    counts = SharedCounts(1).claim(0)
    counts.enter("a", 10, count=8, under_way=0)
    assert counts.usage("a", 10).recent == 8
    clock[0] += 10
    assert counts.usage("a", 10).recent == 8
    clock[0] += 5
    assert counts.usage("a", 10).recent == pytest.approx(4)
    counts.enter("a", 10, under_way=0)
    assert counts.usage("a", 10).recent == pytest.approx(5)
    clock[0] += 20
    assert counts.usage("a", 10).recent == 0


def test_what_is_under_way_does_not_fade_and_is_not_counted_below_nothing(clock):
    counts = SharedCounts(1).claim(0)
    ticket = counts.enter("a", 1)
    clock[0] += 3600
    assert counts.usage("a", 1) == (0, 1)
    counts.leave(ticket)
    counts.leave(ticket)
    assert counts.usage("a", 1).under_way == 0


def test_thousands_of_clients_are_each_counted(clock):
    counts = SharedCounts(1).claim(0)
    names = [f"client {number}" for number in range(2000)]
    for name in names:
        counts.enter(name, 60)
    assert [name for name in names if counts.usage(name, 60) != (1, 1)] == []


@pytest.fixture
def few_cells(monkeypatch):
    monkeypatch.setattr(shared_counts, "CELLS", 4)
    shared_counts._place.cache_clear()
    yield SharedCounts(1).claim(0)
    shared_counts._place.cache_clear()


def test_of_more_clients_than_there_are_cells_none_suffers_for_others(clock, few_cells):
    tickets = {name: few_cells.enter(name, 10) for name in map(str, range(40))}
    assert sum(few_cells.usage(name, 10) == (1, 1) for name in tickets) == 4
    assert all(few_cells.usage(name, 10).under_way <= 1 for name in tickets)
    for ticket in tickets.values():
        few_cells.leave(ticket)
    assert all(few_cells.usage(name, 10).under_way == 0 for name in tickets)
    # and places become free again
    clock[0] += 100
    few_cells.enter("new", 10)
    assert few_cells.usage("new", 10) == (1, 1)


def test_who_asks_the_most_is_not_forgotten_for_many_who_ask_little(clock, few_cells):
    few_cells.enter("greedy", 60, count=500, under_way=0)
    busy = few_cells.enter("busy", 60)
    for number in range(200):
        few_cells.enter(str(number), 60, under_way=0)
        assert few_cells.usage(str(number), 60).recent == 1
    assert few_cells.usage("greedy", 60).recent == 500
    assert few_cells.usage("busy", 60).under_way == 1
    few_cells.leave(busy)
