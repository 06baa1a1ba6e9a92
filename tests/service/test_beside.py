"""Facts that are looked for beside."""

from threading import Event

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.service.beside import Beside


def test_the_first_waits_and_the_next_are_given_what_was_found():
    looks = []
    beside = Beside(lambda: looks.append(1) or {"n": len(looks)}, seconds=1000, patience=30)
    assert beside() == {"n": 1, "note": None}
    assert beside() == {"n": 1, "note": None}


def test_nobody_waits_for_what_takes_long():
    gate, done = Event(), Event()

    def find():
        gate.wait(30)
        done.set()
        return {"n": 1}

    beside = Beside(find, seconds=1000, patience=0)
    assert beside() == {"note": "not known yet: look again"}
    assert beside() == {"note": "not known yet: look again"}
    gate.set()
    assert done.wait(30)
    beside = Beside(lambda: {"n": 2}, seconds=0, patience=30)
    assert beside()["n"] == 2


def test_what_was_found_stays_when_it_fails_later():
    found = iter([{"n": 1}])

    def find():
        for one in found:
            return one
        failed.set()
        raise IndexUnavailable("the index is down")

    failed = Event()
    beside = Beside(find, seconds=0, patience=30)
    assert beside() == {"n": 1, "note": None}
    while not failed.is_set() or beside()["note"] is None:
        beside()
    assert beside() == {"n": 1, "note": "not known now: the index is down"}
