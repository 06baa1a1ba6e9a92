import threading

import pytest

from dicomweb_gateway.frames.work_queue import Waiter, WorkQueue
from tests.frames.conftest import raw_wanted

A, B = "connection a", "connection b"


def make(slots: int = 2, limit: int = 4) -> WorkQueue:
    return WorkQueue(prefetch_slots=slots, prefetch_limit=limit)


def drain(queue: WorkQueue) -> list[int]:
    """Frame numbers in the order they are taken, nothing being finished in between."""
    queue_depths = queue.depths()
    total = queue_depths["demands"] + queue_depths["prefetches"]
    return [int(queue.take().wanted.key.frame_id, 16) for _ in range(total)]


def test_demand_goes_before_prefetch():
    queue = make()
    queue.prefetch([raw_wanted(1), raw_wanted(2)])
    queue.demand(raw_wanted(3), Waiter(A, 1))
    assert drain(queue) == [3, 1, 2]


def test_a_prefetch_that_is_asked_for_moves_forward_and_runs_once():
    queue = make()
    queue.prefetch([raw_wanted(1), raw_wanted(2)])
    assert queue.demand(raw_wanted(2), Waiter(A, 1))
    assert drain(queue) == [2, 1]
    depths = queue.depths()
    assert depths == {
        "running": 2,
        "demands": 0,
        "prefetches": 0,
        "prefetch_dropped": 0,
        "prefetch_promoted": 1,
    }


def test_one_job_for_all_who_ask():
    queue = make()
    waiters = [Waiter(A, 1), Waiter(B, 1), Waiter(A, 2, inline=True)]
    assert [queue.demand(raw_wanted(1), waiter) for waiter in waiters] == [False, True, True]
    job = queue.take()
    queue.demand(raw_wanted(1), Waiter(B, 9))
    queue.prefetch([raw_wanted(1)])
    assert queue.finish(job) == [*waiters, Waiter(B, 9)]
    assert not queue.demand(raw_wanted(1), Waiter(A, 3))


def test_prefetch_leaves_workers_free():
    queue = make(slots=2)
    queue.prefetch([raw_wanted(n) for n in range(4)])
    first, _ = queue.take(), queue.take()
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(queue.take()))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    queue.finish(first)
    waiting.join(5)
    assert [job.wanted for job in taken] == [raw_wanted(2)]


def test_a_running_prefetch_that_is_asked_for_frees_its_slot():
    queue = make(slots=1)
    queue.prefetch([raw_wanted(1), raw_wanted(2)])
    running = queue.take()
    queue.demand(raw_wanted(1), Waiter(A, 1))
    assert queue.take().wanted == raw_wanted(2)
    assert queue.finish(running) == [Waiter(A, 1)]
    queue.prefetch([raw_wanted(3), raw_wanted(4)])
    queue.demand(raw_wanted(5), Waiter(A, 2))
    assert queue.take().wanted == raw_wanted(5)
    assert queue.depths()["prefetches"] == 2


def test_what_was_named_last_comes_first_and_what_is_named_again_moves_along():
    queue = make(slots=9, limit=9)
    queue.prefetch([raw_wanted(n) for n in (1, 2, 3)])
    queue.prefetch([raw_wanted(n) for n in (5, 3, 6)])
    assert drain(queue) == [5, 3, 6, 1, 2]


def test_what_was_named_longest_ago_is_dropped():
    queue = make(slots=9, limit=4)
    queue.demand(raw_wanted(0), Waiter(A, 1))
    queue.prefetch([raw_wanted(n) for n in (1, 2, 3)])
    queue.prefetch([raw_wanted(n) for n in (4, 5, 3)])
    queue.prefetch([raw_wanted(n) for n in (6,)])
    assert queue.depths()["prefetch_dropped"] == 2
    assert drain(queue) == [0, 6, 4, 5, 3]


def test_what_nobody_names_for_long_is_dropped():
    now = 0.0
    queue = WorkQueue(prefetch_slots=9, prefetch_limit=9, clock=lambda: now)
    queue.prefetch([raw_wanted(1), raw_wanted(2)])
    now = 16.0
    queue.demand(raw_wanted(3), Waiter(A, 1))
    queue.demand(raw_wanted(2), Waiter(A, 2))
    assert [queue.take().wanted for _ in range(2)] == [raw_wanted(3), raw_wanted(2)]
    queue.close()
    assert queue.take() is None
    assert queue.depths()["prefetch_dropped"] == 1


@pytest.mark.parametrize("slots", [0, 9])
def test_what_no_worker_looks_at_does_not_pile_up(slots):
    now = 0.0
    queue = WorkQueue(prefetch_slots=slots, prefetch_limit=9, clock=lambda: now)
    for number in range(100):
        # each is named, then asked for: so many demands that no worker comes to the prefetches
        queue.prefetch([raw_wanted(number)])
        queue.prefetch([raw_wanted(number)])
        queue.demand(raw_wanted(number), Waiter(A, number))
        queue.prefetch([raw_wanted(number)])
        now += 1.0
    assert len(queue._batches) <= 2 * 16
    assert queue.depths()["prefetches"] == 0


def test_a_job_is_due_when_its_last_waiter_gives_up():
    queue = make()
    queue.demand(raw_wanted(1), Waiter(A, 1, deadline=10))
    queue.demand(raw_wanted(1), Waiter(B, 1, deadline=20))
    job = queue.take()
    assert job.deadline == 20
    queue.extend(A, 1, 30)
    queue.extend(A, 1, 5)
    queue.extend(A, 9, 99)
    assert job.deadline == 30
    queue.forget(A, 1)
    assert job.deadline == 20
    assert not job.abandoned
    queue.forget(B)
    assert job.abandoned
    assert job.deadline is None


def test_a_request_that_comes_twice_waits_once():
    queue = make()
    queue.demand(raw_wanted(1), Waiter(A, 1))
    assert queue.demand(raw_wanted(1), Waiter(A, 1))
    assert queue.finish(queue.take()) == [Waiter(A, 1)]
    assert queue.forget(A, 1) == 0


@pytest.mark.parametrize(
    ("owner", "number", "ended", "left"),
    [(A, None, 1, [2]), (A, 1, 1, [2]), (A, 2, 0, [1, 2]), (B, None, 0, [1, 2]), (A, 77, 0, [1, 2])],
)
def test_nobody_waits_any_more(owner, number, ended, left):
    queue = make()
    queue.demand(raw_wanted(1), Waiter(A, 1))
    queue.demand(raw_wanted(2), Waiter(A, 2))
    queue.demand(raw_wanted(2), Waiter(B, 1))
    assert queue.forget(owner, number) == ended
    assert drain(queue) == left


def test_what_runs_is_let_run_though_nobody_waits():
    queue = make()
    queue.demand(raw_wanted(1), Waiter(A, 1))
    job = queue.take()
    assert queue.forget(A) == 0
    queue.demand(raw_wanted(1), Waiter(B, 1))
    assert queue.finish(job) == [Waiter(B, 1)]


def test_a_forgotten_frame_can_be_asked_for_again():
    queue = make()
    queue.demand(raw_wanted(1), Waiter(A, 1))
    queue.forget(A)
    queue.demand(raw_wanted(1), Waiter(B, 1))
    job = queue.take()
    assert job.waiters == [Waiter(B, 1)]
    queue.finish(job)
    queue.close()
    assert queue.take() is None


def test_closing_ends_workers_after_the_demands():
    queue = make()
    queue.prefetch([raw_wanted(1)])
    queue.demand(raw_wanted(2), Waiter(A, 1))
    queue.close()
    queue.prefetch([raw_wanted(3)])
    assert queue.take().wanted == raw_wanted(2)
    assert queue.take() is None


def test_closing_wakes_waiting_workers():
    queue = make()
    workers = [threading.Thread(target=queue.take) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers)
