"""How many images a process decodes at once, so that decoding takes neither all cores nor all threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore

from dicomweb_gateway import patience
from dicomweb_gateway.errors import DecodersUnavailable
from dicomweb_gateway.telemetry.catalogue import REFUSALS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.telemetry.timeline import span

_FOR_A_PLACE = 1.0
"""Seconds that who begins waits where enough are waiting."""


class DecodeTurns:
    """At most `at_once` callers work, each after at most `patience` seconds of waiting.

    `most` bounds those who work or wait and have just begun an answer: others are refused unless a place is
    free within a second, so that threads stay free for what needs no decoding. For any thread.
    """

    def __init__(self, at_once: int = 2, most: int = 48, patience: float = 30.0) -> None:
        self._slots = Semaphore(at_once)
        self._places = Semaphore(most)
        self._patience = patience

    @contextmanager
    def turn(self, *, goes_on: bool = False) -> Iterator[None]:
        """Do what is inside when it is our turn. Raises DecodersUnavailable when that does not come.

        `goes_on`: the answer is under way already and is not to break off, so `most` does not count.
        """
        if goes_on:
            with self._slot():
                yield
            return
        # many who ask at once are common, and most decoding takes milliseconds
        if not patience.acquire(self._places, patience.until(min(self._patience, _FOR_A_PLACE))):
            count(REFUSALS, ("decoders",))
            raise DecodersUnavailable("too many images are asked for at once")
        try:
            with self._slot():
                yield
        finally:
            self._places.release()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with span("decode_wait"):
            is_ours = patience.acquire(self._slots, patience.until(self._patience))
        if not is_ours:
            count(REFUSALS, ("decoders",))
            raise DecodersUnavailable("every decoder is busy")
        try:
            with span("decode"):
                yield
        finally:
            self._slots.release()
