"""Where the time of a request goes, and the id that it is known by in logs; by thread, like `patience`."""

import time
from threading import local
from types import TracebackType
from typing import Self

from dicomweb_gateway.telemetry.catalogue import PART_SECONDS
from dicomweb_gateway.telemetry.meters import observe


class Timeline:
    """One request: its id, seconds by what they were spent on, whether its answer was taken note of."""

    __slots__ = ("is_told", "parts", "request_id")

    def __init__(self, request_id: str | None = None) -> None:
        self.request_id = request_id
        self.is_told = False
        self.parts: dict[str, float] = {}

    def add(self, part: str, seconds: float) -> None:
        """Note that `seconds` were spent on `part`."""
        self.parts[part] = self.parts.get(part, 0.0) + seconds


class _Thread(local):
    """`inner`: seconds of the running span that are another span's within it."""

    timeline: Timeline | None = None
    inner = 0.0


_THREAD = _Thread()


def follow(timeline: Timeline | None) -> Timeline | None:
    """What this thread does from now on is for the request of `timeline`; gives what it was for before."""
    before, _THREAD.timeline = _THREAD.timeline, timeline
    return before


class following:
    """What this thread does inside is for the request of `timeline`; None: for no request."""

    __slots__ = ("_before", "_timeline")

    def __init__(self, timeline: Timeline | None) -> None:
        self._timeline = timeline

    def __enter__(self) -> None:
        self._before = follow(self._timeline)

    def __exit__(self, *_: object) -> None:
        _THREAD.timeline = self._before


class span:
    """The time inside is spent on `part`, but for what inner spans take."""

    __slots__ = ("_began", "_outer", "_part")

    def __init__(self, part: str) -> None:
        self._part = part

    def __enter__(self) -> Self:
        self._outer = _THREAD.inner
        _THREAD.inner = 0.0
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began
        own = max(0.0, seconds - _THREAD.inner)
        _THREAD.inner = self._outer + seconds
        observe(PART_SECONDS, own, (self._part,))
        timeline = _THREAD.timeline
        if timeline is not None:
            timeline.add(self._part, own)


def spent(part: str, seconds: float) -> None:
    """Note for the request of this thread, and for no meter, that `seconds` went to `part`."""
    _THREAD.inner += seconds
    if _THREAD.timeline is not None:
        _THREAD.timeline.add(part, seconds)


def request_id() -> str | None:
    """The id of the request that this thread works for, None without one."""
    timeline = _THREAD.timeline
    return None if timeline is None else timeline.request_id
