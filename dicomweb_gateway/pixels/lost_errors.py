"""Errors that a codec's binding raises where nobody can catch them.

imagecodecs does that with what OpenJPH finds behind the main header, and hands out zeros from there on.
Python tells such exceptions to two hooks, in the thread in which they happen.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

Hook = Callable[..., Any]


class _OfThread(local):
    """What was lost so far in this thread; None while nobody listens."""

    found: list[str] | None = None


_LOST = _OfThread()


@contextmanager
def lost_errors() -> Iterator[list[str]]:
    """A list that fills with the texts of exceptions that get lost inside, in this thread.

    Elsewhere they go where they went before. Others may set hooks too, so ours is put back on top each time.
    """
    for name, text_at in (("unraisablehook", _of_unraisable), ("excepthook", _of_uncaught)):
        hook: Hook = getattr(sys, name)
        if not hasattr(hook, "hears_lost_errors"):
            setattr(sys, name, _hearing(hook, text_at))
    found: list[str] = []
    _LOST.found = found
    try:
        yield found
    finally:
        _LOST.found = None


def _hearing(before: Hook, text_of: Callable[..., str]) -> Hook:
    """A hook that listens, and calls the one `before` it when nobody asked it to."""

    def hook(*told: Any) -> None:
        if _LOST.found is None:
            before(*told)
        else:
            _LOST.found.append(text_of(*told))

    hook.hears_lost_errors = True  # type: ignore[attr-defined]
    return hook


def _of_unraisable(told: "sys.UnraisableHookArgs") -> str:
    return str(told.exc_value)


def _of_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> str:
    return str(error)
