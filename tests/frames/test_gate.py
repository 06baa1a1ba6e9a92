import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dicomweb_gateway.frames.gate import UrgentFirst


def test_only_so_many_pass_at_once():
    gate, lock = UrgentFirst(2), threading.Lock()
    inside = most = 0

    def work(_):
        nonlocal inside, most
        with gate.passing(lambda: True):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(20)))
    assert most == 2


def test_who_is_urgent_by_then_goes_first():
    gate = UrgentFirst(1)
    order: list[int] = []
    urgent = {2}

    def work(number):
        with gate.passing(lambda: number in urgent):
            order.append(number)

    with gate.passing(lambda: False):
        threads = []
        for number in range(4):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            while len(gate._waiting) != number + 1:
                time.sleep(0.001)
        urgent.add(3)
    for thread in threads:
        thread.join()
    assert order == [2, 3, 0, 1]


def test_one_that_is_stuck_holds_up_nobody_for_long():
    gate = UrgentFirst(1, patience=0.05)
    with gate.passing(lambda: True), gate.passing(lambda: True), gate.passing(lambda: True):
        pass
    with gate.passing(lambda: True):
        assert gate._waiting == []
    assert gate._free == 1


def test_what_fails_gives_its_pass_back():
    gate = UrgentFirst(1)
    for _ in range(3):
        try:
            with gate.passing(lambda: True):
                raise KeyError
        except KeyError:
            pass
    assert gate._free == 1
