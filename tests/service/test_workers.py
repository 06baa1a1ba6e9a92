"""Worker threads: some are left to requests however many long answers and metadata there are (DESIGN 5)."""

import threading

from dicomweb_gateway.service.workers import Workers


class Step:
    def __init__(self, gate):
        self._gate = gate
        self.begun = threading.Event()

    def service(self):
        self.begun.set()
        assert self._gate.wait(10)


class Ask:
    stands_in_line = False

    def __init__(self):
        self.done = threading.Event()

    def service(self):
        self.done.set()
        raise RuntimeError("a fault outside the application costs no thread")


def test_steps_leave_half_of_the_threads_to_requests():
    workers, gate = Workers(4), threading.Event()
    steps = [Step(gate) for _ in range(6)]
    for step in steps:
        workers.add_step(step)
    for _ in range(8):
        ask = Ask()
        workers.add_task(ask)
        assert ask.done.wait(10)
    assert sum(step.begun.is_set() for step in steps) == 2
    assert workers.pressed
    gate.set()
    assert all(step.begun.wait(10) for step in steps)


class Metadata(Step):
    stands_in_line = True
    refused = ""

    def refuse(self, reason):
        self.refused = reason


def answered(workers):
    ask = Ask()
    workers.add_task(ask)
    return ask.done.wait(10)


def test_metadata_stand_in_line_and_leave_the_other_threads_to_requests():
    workers, gate = Workers(8), threading.Event()
    wanted = [Metadata(gate) for _ in range(40)]
    for one in wanted:
        workers.add_task(one)
    for step in [Step(gate) for _ in range(8)]:
        workers.add_step(step)
    assert answered(workers)
    assert [one.begun.is_set() for one in wanted] == [True] * 3 + [False] * 37
    gate.set()
    assert all(one.begun.wait(10) for one in wanted)
    assert not any(one.refused for one in wanted)


def test_who_finds_the_line_full_is_refused_at_once():
    workers, gate = Workers(4, most_in_line=2), threading.Event()
    wanted = [Metadata(gate) for _ in range(4)]
    for one in wanted[:3]:
        workers.add_task(one)
    assert wanted[0].begun.wait(10)
    workers.add_task(wanted[3])
    assert wanted[3].begun.wait(10)
    assert [bool(one.refused) for one in wanted] == [False, False, False, True]
    gate.set()


def test_who_has_stood_in_line_for_too_long_is_refused():
    workers, gate = Workers(4, longest_in_line=0), threading.Event()
    wanted = [Metadata(gate) for _ in range(2)]
    for one in wanted:
        workers.add_task(one)
    assert wanted[0].begun.wait(10)
    gate.set()
    assert wanted[1].begun.wait(10)
    assert [bool(one.refused) for one in wanted] == [False, True]
