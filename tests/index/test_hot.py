import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicomweb_gateway import patience
from dicomweb_gateway.errors import GatewayBusy
from dicomweb_gateway.index import hot
from dicomweb_gateway.index.hot import HotMap


def plain(seconds=10.0, budget=100):
    return HotMap(seconds, budget, weigh=len)


def test_a_value_is_loaded_once():
    loads = []
    kept = plain()
    for _ in range(3):
        assert kept.get("a", lambda: loads.append(1) or "value") == "value"
    assert len(loads) == 1


def test_threads_that_ask_together_cause_one_load():
    kept, loads, gate, asked = plain(), [], threading.Event(), threading.Semaphore(0)

    def load():
        loads.append(1)
        gate.wait(10)
        return "value"

    def ask(_):
        asked.release()
        return kept.get("a", load)

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(ask, range(8))
        for _ in range(8):
            asked.acquire()
        gate.set()
        assert list(answers) == ["value"] * 8
    assert len(loads) == 1


def test_failures_are_not_kept():
    kept = plain()

    def fail():
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        kept.get("a", fail)
    assert kept.get("a", lambda: "value") == "value"


def test_values_age(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(hot.time, "monotonic", lambda: now[0])
    kept = plain(seconds=10)
    assert kept.get("a", lambda: "old") == "old"
    now[0] += 9.9
    assert kept.get("a", lambda: "new") == "old"
    now[0] += 0.2
    assert kept.get("a", lambda: "new") == "new"


@pytest.mark.parametrize(("seconds", "budget"), [(0.0, 100), (10.0, 2)])
def test_nothing_is_kept_without_time_or_room(seconds, budget):
    kept = plain(seconds, budget)
    assert kept.get("a", lambda: "one") == "one"
    assert kept.get("a", lambda: "two") == "two"


def test_the_oldest_goes_when_the_budget_is_full():
    kept = plain(budget=6)
    for key in ("a", "b", "c"):
        kept.get(key, lambda: "xxx")
    assert kept.get("c", lambda: "new") == "xxx"
    assert kept.get("a", lambda: "new") == "new"


def test_clear():
    kept = plain()
    kept.get("a", lambda: "old")
    kept.clear()
    assert kept.get("a", lambda: "new") == "new"


def test_what_was_loaded_otherwise_is_kept_unless_it_is_too_much():
    hot = HotMap(60, 100, len)
    hot.add(dict.fromkeys(range(5), "x" * 5))
    assert [hot.get(number, lambda: "loaded") for number in (0, 4, 5)] == ["x" * 5, "x" * 5, "loaded"]
    hot.add(dict.fromkeys(range(10, 16), "y" * 5))
    assert hot.get(10, lambda: "loaded") == "loaded"


def test_whoever_joins_a_load_does_not_suffer_from_a_client_that_leaves():
    lock = threading.Lock()
    held = HotMap(60, 10, lambda _: 1)

    def load():
        with lock:
            return patience.acquire(lock, time.monotonic() + 0.6)

    with patience.request_scope(has_left=lambda: True):
        assert held.get("key", load) is False


def test_whoever_joins_a_load_waits_no_longer_than_their_request():
    kept, gate, begun = plain(), threading.Event(), threading.Event()

    def load():
        begun.set()
        gate.wait(10)
        return "value"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kept.get, "a", load)
        assert begun.wait(10)
        with patience.request_scope(time.monotonic() + 0.01), pytest.raises(GatewayBusy):
            kept.get("a", lambda: "never made")
        gate.set()
        assert first.result() == "value"
