"""Worker threads: half of them are left to requests however many long answers there are (DESIGN 5)."""

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
