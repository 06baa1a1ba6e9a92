"""Waiting for a request: its deadline and a client that leaves end it."""

import threading
import time
from concurrent.futures import Future

import pytest

from dicomweb_gateway import patience
from dicomweb_gateway.errors import ClientLeft

FAR = 60.0


def test_the_earlier_of_request_and_wait_counts():
    assert patience.until(1000) > time.monotonic() + 900
    end = time.monotonic() + 5
    with patience.request_scope(end):
        assert patience.until(1000) == end
        assert patience.until(0.001) < end
    assert patience.until(1000) > time.monotonic() + 900


def test_a_result_comes_or_the_deadline_does():
    future = Future()
    with pytest.raises(TimeoutError):
        patience.result(future, time.monotonic() + 0.01)
    threading.Timer(0.05, future.set_result, [7]).start()
    assert patience.result(future, time.monotonic() + FAR) == 7


def test_what_is_there_is_given_also_after_the_deadline():
    future = Future()
    future.set_result(7)
    assert patience.result(future, time.monotonic() - 1) == 7


def test_a_failure_of_the_future_is_its_own():
    future = Future()
    future.set_exception(TimeoutError("its own"))
    with pytest.raises(TimeoutError, match="its own"):
        patience.result(future, time.monotonic() + FAR)


def test_nobody_waits_for_a_client_that_left():
    lock = threading.Lock()
    with patience.request_scope(has_left=lambda: True), lock:
        with pytest.raises(ClientLeft):
            patience.result(Future(), time.monotonic() + FAR)
        with pytest.raises(ClientLeft):
            patience.acquire(lock, time.monotonic() + FAR)


def test_what_others_wait_for_too_goes_on_without_the_client():
    end = time.monotonic() + 0.6
    asked = patience.request_scope(end, lambda: True)
    with asked, patience.for_others_too(), pytest.raises(TimeoutError):
        patience.result(Future(), patience.until(FAR))
    assert time.monotonic() >= end


def test_a_lock_is_had_or_not():
    lock = threading.Lock()
    assert patience.acquire(lock, time.monotonic() + FAR)
    assert not patience.acquire(lock, time.monotonic() + 0.01)
