"""From the click on a series to its first and its full picture, in Chromium: nothing of it is kept anywhere.

The series is new to the gateway, whose HealthImaging takes 30 ms, and the browser has nothing of that page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.benchmarks.bench import Bench, Stand
from tests.benchmarks.content import SIZE, Frame, Series, make_frames, make_series
from tests.benchmarks.measuring import Line, Pair, Scenario
from tests.e2e.node import drive, need_chromium, need_packages

METHODS = ("levels", "full", "rendered")
_LARGE = 2560
_SLICES = 60
_LASTS = 900


@dataclass(frozen=True)
class _Image:
    """What is opened: `instances` images of `size` x `size`."""

    name: str
    title: str
    size: int
    instances: int


@dataclass(frozen=True)
class _Way:
    """What lies between browser and gateway: Mbit/s and added milliseconds a request; 0: nothing does."""

    name: str
    title: str
    megabits: float = 0
    milliseconds: float = 0


_IMAGES = (
    _Image("ct", f"CT of {_SLICES} slices of {SIZE} x {SIZE}", SIZE, _SLICES),
    _Image("dx", f"radiograph of {_LARGE} x {_LARGE}", _LARGE, 1),
)
_WAYS = (_Way("near", "this machine"), _Way("far", "10 Mbit/s, 20 ms", 10, 20))
_FIGURES = (
    ("levels-first", "first picture, level by level", "first"),
    ("levels-full", "full picture, level by level", "full"),
    ("rendered-full", "picture, rendered (JPEG)", "full"),
)


def _clicks(bench: Bench) -> Iterator[Pair]:
    for image in _IMAGES:
        size = bench.size(image.size, 128)
        pool = bench.pool if size == SIZE else make_frames(bench.size(2, 1), size)
        for way in _WAYS:
            yield from _opened(bench, image, way, pool)


def _opened(bench: Bench, image: _Image, way: _Way, pool: list[Frame]) -> Iterator[Pair]:
    count = bench.size(image.instances, 2)
    # the first round is for what a process does once only
    rounds = [[make_series(pool, count) for _ in METHODS] for _ in range(bench.rounds + 1)]
    with bench.stand([one for row in rounds for one in row], pool=pool) as stand:
        found = _clicked(stand, way, [_turned(row, number) for number, row in enumerate(rounds)])
        for row in found[1:]:
            for name, _, figure in _FIGURES:
                own, full = row[name.partition("-")[0]], row["full"]
                yield Pair(f"click-{image.name}-{way.name}-{name}", full[figure], own[figure], row)


def _turned(row: Sequence[Series], number: int) -> list[tuple[str, Series]]:
    """Each method has its series; another one begins each round."""
    pairs = list(zip(METHODS, row, strict=True))
    begin = number % len(pairs)
    return pairs[begin:] + pairs[:begin]


def _clicked(stand: Stand, way: _Way, rounds: Sequence[list[tuple[str, Series]]]) -> list[dict[str, Any]]:
    """Of each round by method what `clicks.mjs` tells of a click."""
    clicks = [
        {"method": method, "study": one.study_uid, "series": one.series_uid, "size": one.pool[0].size}
        for row in rounds
        for method, one in row
    ]
    line = {"megabits": way.megabits, "latency": way.milliseconds}
    told = iter(drive("clicks.mjs", _LASTS, root=stand.gateway.root, clicks=clicks, **line)["clicks"])
    return [{method: next(told) for method, _ in row} for row in rounds]


def _lacks() -> str | None:
    try:
        need_packages()
        need_chromium()
    except pytest.skip.Exception as reason:
        return str(reason)
    return None


SCENARIOS = (
    Scenario(
        "clicks",
        "a click on a cold series to its first and its full picture, in Chromium, by method of loading",
        tuple(
            Line(
                f"click-{image.name}-{way.name}-{name}", f"{image.title}, {way.title}: {title}", "full", "ms"
            )
            for image in _IMAGES
            for way in _WAYS
            for name, title, _ in _FIGURES
        ),
        _clicks,
        _lacks,
    ),
)
