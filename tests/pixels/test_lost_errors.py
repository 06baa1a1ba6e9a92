"""Exceptions that nobody can catch are heard in their own thread, and nowhere else."""

import sys
from threading import Thread

import pytest

from dicomweb_gateway.pixels.lost_errors import lost_errors


class Dropped:
    """Raises where it cannot be caught."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        raise RuntimeError(self.text)


def lose(text: str) -> None:
    Dropped(text)


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What goes to the hook that was there before."""
    found: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda event: found.append(str(event.exc_value)))
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: found.append(str(error)))
    return found


def test_heard_inside_only(told):
    lose("before")
    with lost_errors() as lost:
        lose("inside")
        sys.excepthook(ValueError, ValueError("printed"), None)
        other = Thread(target=lose, args=("elsewhere",))
        other.start()
        other.join()
    lose("after")
    assert lost == ["inside", "printed"]
    assert told == ["before", "elsewhere", "after"]


def test_hooks_that_others_set_around_ours_go_on(told, monkeypatch):
    with lost_errors():
        pass
    inner, seen = sys.unraisablehook, []

    def outer(event):
        seen.append(str(event.exc_value))
        inner(event)

    monkeypatch.setattr(sys, "unraisablehook", outer)
    with lost_errors() as lost:
        lose("inside")
    lose("after")
    assert lost == ["inside"]
    assert seen == told == ["after"]


def test_the_hook_is_set_once(told):
    with lost_errors():
        first = sys.unraisablehook
    with lost_errors():
        assert sys.unraisablehook is first
