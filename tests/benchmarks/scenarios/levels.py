"""Level 0 of cached frames by HealthImaging's own address, beside a constant answer of the same size."""

import os
from collections.abc import Iterator
from typing import Any

from dicomweb_gateway.tlm.levels import level_bounds
from tests.benchmarks.bench import Bench
from tests.benchmarks.client import Lane, Outcome, ask
from tests.benchmarks.constant import Constant
from tests.benchmarks.content import Series
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles
from tests.benchmarks.processes import Family

_CONNECTIONS = 16
_FRAMES = 2500
_HOT = 200
_TIMES = 150
_TIMES_OF_MANY = 8
_LEVEL_0 = "startLevel=0&endLevel=0"
_GROWTH_MB = 100


def _levels(bench: Bench) -> Iterator[Pair]:
    # what is asked all the time is a part of it: of all of it the index would be asked every ten seconds
    many, series = bench.series(bench.size(_FRAMES, 4)), bench.series(bench.size(_HOT, 2))
    length = level_bounds(bench.pool[0].payload)[1]
    times = bench.size(_TIMES, 1)
    with bench.stand([many, series], latency_ms=0) as stand:
        constant = Constant(length)
        try:
            family = stand.gateway.family()
            before = family.memory().total()
            ask(stand.gateway.port, [_posted(many)], {})
            yield Pair("level-memory-cold", None, (family.memory().total() - before) / 1024)
            ask(stand.gateway.port, [_posted(series, 2)], {})
            for _ in range(bench.rounds):
                lanes = {
                    "post": _posted(series, times),
                    "get": _got(series, times),
                    "many": _got(many, bench.size(_TIMES_OF_MANY, 1)),
                }
                for name, lane in lanes.items():
                    bare = _cost(constant.family(), constant.port, lane)
                    own = _cost(family, stand.gateway.port, lane)
                    cores = len(os.sched_getaffinity(0))
                    details = _details(own, bare, length)
                    yield Pair(f"level-0-{name}", bare[1].rate, own[1].rate, details)
                    yield Pair(f"level-0-{name}-cpu", cores / bare[0], cores / own[0], details)
                grown = (family.memory().total() - before) / 1024
                yield Pair("level-memory-warm", None, grown)
        finally:
            constant.stop()


def _posted(series: Series, times: int = 1) -> Lane:
    ids = [frame_id for ids in series.frame_ids for frame_id in ids] * times
    path = f"{series.upstream_path}/getImageFrame?{_LEVEL_0}"
    return Lane(_CONNECTIONS, [path] * len(ids), [f'{{"imageFrameId": "{one}"}}' for one in ids])


def _got(series: Series, times: int) -> Lane:
    ids = [frame_id for ids in series.frame_ids for frame_id in ids] * times
    path = f"{series.upstream_path}/getImageFrame?{_LEVEL_0}&imageFrameId="
    return Lane(_CONNECTIONS, [path + one for one in ids])


def _cost(family: Family, port: int, lane: Lane) -> tuple[float, Outcome]:
    """(CPU seconds of the server for each answer, what the client saw)."""
    with family.spending() as cpu:
        outcome = ask(port, [lane], {})
    return sum(cpu.values()) / len(lane.paths), outcome


def _details(own: tuple[float, Outcome], bare: tuple[float, Outcome], length: int) -> dict[str, Any]:
    return {
        "bytes": length,
        "cpu_ms": own[0] * 1000,
        "yardstick_cpu_ms": bare[0] * 1000,
        "seconds": own[1].seconds,
        "yardstick_seconds": bare[1].seconds,
        **percentiles(own[1].latencies),
    }


_BESIDE = "a constant answer of that size, Flask on the same server"

_RATE = Budget(0.5, at_most=False)
_MEMORY = Budget(_GROWTH_MB, of_ratio=False)


def _lines(name: str, what: str) -> tuple[Line, Line]:
    return (
        Line(f"level-0-{name}", f"{what}, as seen", _BESIDE, "answers/s", _RATE),
        Line(f"level-0-{name}-cpu", "the same by CPU", _BESIDE, "answers/s", _RATE),
    )


SCENARIOS = (
    Scenario(
        "levels",
        "level 0 of frames that the gateway has, by POST and by GET; memory that 2,500 frames leave",
        (
            *_lines("post", "level 0 of a cached frame, POST"),
            *_lines("get", "level 0 of a cached frame, GET"),
            *_lines("many", "level 0 of 2,500 cached frames in turn, GET"),
            Line(
                "level-memory-cold",
                "memory that 2,500 cold frames leave in all processes (PSS)",
                "-",
                "MB",
                _MEMORY,
            ),
            Line("level-memory-warm", "the same after all rounds so far", "-", "MB", _MEMORY),
        ),
        _levels,
    ),
)
