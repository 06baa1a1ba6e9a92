"""What the store has already, beside nginx with sendfile; tiny answers beside gunicorn.

Servers are compared by the CPU that an answer costs them, as the client and the rest of the machine take
their share of the cores too: answers a second are those of the cores that a server may use, were they its
own.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from tests.benchmarks import gunicorn, nginx
from tests.benchmarks.bench import Bench
from tests.benchmarks.client import Lane, Outcome, ask
from tests.benchmarks.gateway import BASE, STORED
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles
from tests.benchmarks.processes import Family
from tests.benchmarks.scenarios.opening import bodies

_CONNECTIONS = 16
_FRAMES_OF_20_MB = 94
_JSON = {"Accept": "application/dicom+json"}


def _warm_frames(bench: Bench) -> Iterator[Pair]:
    count, times = bench.size(200, 4), bench.size(10, 1)
    single, multi = bench.series(count), bench.series(1, bench.size(_FRAMES_OF_20_MB, 3))
    cores = len(os.sched_getaffinity(0))
    with bench.stand([single, multi], latency_ms=0) as stand:
        server = nginx.Nginx(bench.folder())
        try:
            paths = [BASE + path for path in single.frame_paths]
            long = [f"{BASE}{multi.instance_paths[0]}/frames"]
            here = [server.put(str(n), body) for n, body in enumerate(bodies(stand.gateway.port, paths))]
            there = [server.put("long", body) for body in bodies(stand.gateway.port, long)]
            ours, theirs = stand.gateway, server
            for _ in range(bench.rounds):
                bare = _cost(theirs.family(), theirs.port, here * times, {})
                own = _cost(ours.family(), ours.port, paths * times, STORED)
                yield Pair("warm-frames", 1 / bare[0], cores / own[0], _details(*own, *bare))
                bare = _cost(theirs.family(), theirs.port, there * times, {}, 2)
                own = _cost(ours.family(), ours.port, long * times, STORED, 2)
                yield Pair("multipart", bare[0] * 1000, own[0] * 1000, _details(*own, *bare))
        finally:
            server.stop()


def _tiny_json(bench: Bench) -> Iterator[Pair]:
    count = bench.size(2000, 20)
    series = bench.series(1)
    path = f"/studies?StudyInstanceUID={series.study_uid}"
    with bench.stand([series], latency_ms=0) as stand:
        other = gunicorn.Gunicorn(bench.folder(), stand.gateway)
        try:
            for server in (stand.gateway, other):
                ask(server.port, [Lane(_CONNECTIONS, [BASE + path] * bench.size(200, 20))], _JSON)
            for _ in range(bench.rounds):
                for line, asked in (("tiny-answer", "/healthcheck"), ("tiny-json", BASE + path)):
                    bare = _cost(other.family(), other.port, [asked] * count, _JSON)
                    own = _cost(stand.gateway.family(), stand.gateway.port, [asked] * count, _JSON)
                    yield Pair(line, 1 / bare[0], 1 / own[0], _details(*own, *bare))
        finally:
            other.stop()


def _cost(
    family: Family, port: int, paths: list[str], headers: Mapping[str, str], connections: int = _CONNECTIONS
) -> tuple[float, Outcome]:
    """(CPU seconds of the server for each answer, what the client saw)."""
    with family.spending() as cpu:
        outcome = ask(port, [Lane(connections, paths)], dict(headers))
    return sum(cpu.values()) / len(paths), outcome


def _details(own_cpu: float, own: Outcome, bare_cpu: float, bare: Outcome) -> dict[str, Any]:
    return {
        "cpu_ms": own_cpu * 1000,
        "yardstick_cpu_ms": bare_cpu * 1000,
        "seen_per_s": own.rate,
        "yardstick_seen_per_s": bare.rate,
        "client_cpu_ms": own.cpu / len(own.latencies) * 1000,
        **percentiles(own.latencies),
    }


def _without_nginx() -> str | None:
    return None if nginx.program() else "nginx is not installed"


SCENARIOS = (
    Scenario(
        "warm-frames",
        "frames of 200 KB and a multipart answer of 20 MB from the store",
        (
            Line(
                "warm-frames",
                "warm 200 KB frames, all cores (by CPU)",
                "nginx sendfile, one worker",
                "frames/s",
                Budget(0.4, at_most=False),
            ),
            Line("multipart", "20 MB multipart, CPU", "nginx, the same bytes", "ms", Budget(3)),
        ),
        _warm_frames,
        _without_nginx,
    ),
    Scenario(
        "tiny-json",
        "answers of some hundred bytes",
        (
            Line(
                "tiny-answer",
                "tiny answer without the index, per core (by CPU)",
                "gunicorn gthread, same app",
                "answers/s",
                Budget(1.3, at_most=False),
            ),
            Line(
                "tiny-json",
                "tiny JSON: search for one study, per core (by CPU)",
                "gunicorn gthread, same app",
                "answers/s",
                Budget(1.3, at_most=False),
            ),
        ),
        _tiny_json,
        gunicorn.lacking,
    ),
)
