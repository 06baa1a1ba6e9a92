"""How long the request that this thread works for may wait, and whether anybody still waits for it.

A request sets both once; whatever waits below it (a frame, a document, a turn to decode) asks here, so no
call in between has to hand them on. A thread without a request waits as long as what it waits for allows.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock, Semaphore, local
from typing import TypeVar

from dicomweb_gateway.errors import ClientLeft

_T = TypeVar("_T")
_LOOK_SECONDS = 0.5
"""A client that leaves is noticed so late at most."""


class _Request(local):
    """The request of each thread; `deadline` is on the clock of time.monotonic."""

    deadline = float("inf")
    has_left: Callable[[], bool] | None = None


_REQUEST = _Request()


@contextmanager
def request_scope(
    deadline: float = float("inf"), has_left: Callable[[], bool] | None = None
) -> Iterator[None]:
    """What this thread does inside is for a request that waits until `deadline` (time.monotonic).

    `has_left` tells whether its client is gone; without it nobody ever leaves.
    """
    before = _REQUEST.deadline, _REQUEST.has_left
    _REQUEST.deadline, _REQUEST.has_left = deadline, has_left
    try:
        yield
    finally:
        _REQUEST.deadline, _REQUEST.has_left = before


@contextmanager
def for_others_too() -> Iterator[None]:
    """What this thread does inside others wait for as well: its own client's leaving ends nothing."""
    with request_scope(_REQUEST.deadline):
        yield


def until(seconds: float) -> float:
    """`seconds` from now or the request's deadline, whichever is earlier (time.monotonic)."""
    return min(time.monotonic() + seconds, _REQUEST.deadline)


def result(future: "Future[_T]", deadline: float) -> _T:
    """The future's result; TimeoutError after `deadline`, ClientLeft as soon as nobody waits for it."""
    while True:
        left = deadline - time.monotonic()
        try:
            return future.result(_slice(left))
        except TimeoutError:
            if future.done():
                return future.result()
            if deadline <= time.monotonic():
                raise
            _look()


def acquire(lock: "Lock | Semaphore", deadline: float) -> bool:
    """Whether the lock could be had before `deadline`; ClientLeft as soon as nobody waits for it."""
    while True:
        left = deadline - time.monotonic()
        if lock.acquire(timeout=_slice(left)):
            return True
        if deadline <= time.monotonic():
            return False
        _look()


def _slice(left: float) -> float:
    return min(max(0.0, left), _LOOK_SECONDS)


def _look() -> None:
    if _REQUEST.has_left is not None and _REQUEST.has_left():
        raise ClientLeft("the client has left")
