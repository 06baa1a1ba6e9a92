"""How many images a process decodes at once, so that decoding takes neither all cores nor all threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Semaphore

from dicomweb_gateway import patience
from dicomweb_gateway.errors import DecodersUnavailable


class DecodeTurns:
    """At most `at_once` callers work, each after at most `patience` seconds of waiting.

    `most` bounds those who work or wait and have just begun an answer: others are refused at once, so that
    threads stay free for what needs no decoding. For any thread.
    """

    def __init__(self, at_once: int = 2, most: int = 48, patience: float = 30.0) -> None:
        self._slots = Semaphore(at_once)
        self._most = most
        self._patience = patience
        self._lock = Lock()
        self._present = 0

    @contextmanager
    def turn(self, *, goes_on: bool = False) -> Iterator[None]:
        """Do what is inside when it is our turn. Raises DecodersUnavailable when that does not come.

        `goes_on`: the answer is under way already and is not to break off, so `most` does not count.
        """
        with self._lock:
            if self._present >= self._most and not goes_on:
                raise DecodersUnavailable("too many images are asked for at once")
            self._present += 1
        try:
            if not patience.acquire(self._slots, patience.until(self._patience)):
                raise DecodersUnavailable("every decoder is busy")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            with self._lock:
                self._present -= 1
