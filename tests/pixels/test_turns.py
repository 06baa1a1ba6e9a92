"""Turns of decoding: how many at once, how many in all, how long."""

from threading import Barrier, Thread

import pytest

from dicomweb_gateway.errors import DecodersUnavailable
from dicomweb_gateway.pixels.turns import DecodeTurns


def test_who_begins_is_refused_where_enough_are_waiting_and_who_goes_on_is_not():
    turns = DecodeTurns(at_once=2, most=1, patience=5)
    with turns.turn():
        with pytest.raises(DecodersUnavailable), turns.turn():
            pass
        with turns.turn(goes_on=True):
            pass
    with turns.turn():
        pass


def test_who_begins_waits_a_moment_for_a_place():
    turns, done = DecodeTurns(at_once=1, most=1, patience=5), []

    def work():
        for _ in range(20):
            with turns.turn():
                done.append(1)

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 160


def test_nobody_waits_longer_than_is_due():
    turns = DecodeTurns(at_once=1, most=9, patience=0.01)
    with turns.turn(), pytest.raises(DecodersUnavailable), turns.turn():
        pass
    with turns.turn():
        pass


def test_a_failure_gives_the_turn_back():
    turns = DecodeTurns(at_once=1, most=1, patience=0.01)
    with pytest.raises(ValueError, match="broken"), turns.turn():
        raise ValueError("broken")
    with turns.turn():
        pass


def test_no_more_work_at_once_than_may():
    turns, here, most = DecodeTurns(at_once=2, most=9, patience=30), [], []
    begun = Barrier(6)

    def work():
        begun.wait()
        for _ in range(50):
            with turns.turn():
                here.append(1)
                most.append(len(here))
                here.pop()

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 300
    assert max(most) <= 2
