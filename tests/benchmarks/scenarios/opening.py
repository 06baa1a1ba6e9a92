"""Opening a series as a viewer does: its metadata, then every frame in viewing order, cold and warm."""

import http.client
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.bench import LATENCY_MS, Bench, Stand
from tests.benchmarks.client import Lane, ask
from tests.benchmarks.content import Series
from tests.benchmarks.gateway import BASE, STORED
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles
from tests.benchmarks.nginx import Nginx, program

CONNECTIONS = (6, 32)
_IN_FLIGHT = 64
_METADATA = {"Accept": "application/dicom+json", "Accept-Encoding": "gzip"}


def _open_series(bench: Bench) -> Iterator[Pair]:
    count = bench.size(300, 5)
    floor = count * LATENCY_MS / 1000 / _IN_FLIGHT
    for connections in CONNECTIONS:
        rounds = [bench.series(count) for _ in range(bench.rounds)]
        with bench.stand(rounds) as stand:
            nginx = Nginx(bench.folder()) if program() else None
            try:
                for series in rounds:
                    seconds, details = _opened(stand, series, connections)
                    yield Pair(f"open-cold-{connections}", floor, seconds, details)
                    if nginx is not None:
                        yield _warm(stand, nginx, series, connections)
            finally:
                if nginx is not None:
                    nginx.stop()


def _opened(stand: Stand, series: Series, connections: int) -> tuple[float, dict[str, Any]]:
    before = stand.upstream.calls()["calls"]
    head = stand.ask([f"{series.path}/metadata"], headers=_METADATA)
    body = stand.ask(series.frame_paths, connections)
    seconds = head.outcome.seconds + body.outcome.seconds
    return seconds, {
        "metadata_s": head.outcome.seconds,
        "first_frame_s": head.outcome.seconds + min(body.outcome.first_bytes),
        "frames_per_s": body.outcome.rate,
        "cpu_s_by_process": {role: body.cpu[role] + head.cpu.get(role, 0.0) for role in body.cpu},
        **body.machine,
        "calls_per_frame": (stand.upstream.calls()["calls"] - before) / len(series.frame_paths),
        **percentiles(body.outcome.latencies),
    }


def _warm(stand: Stand, nginx: Nginx, series: Series, connections: int) -> Pair:
    paths = [f"{BASE}{series.path}/metadata", *(BASE + path for path in series.frame_paths)]
    head, *rest = [
        nginx.put(f"{series.image_set_id}-{number}", body)
        for number, body in enumerate(bodies(stand.gateway.port, paths))
    ]
    alone = ask(nginx.port, [Lane(1, [head])], {}).seconds
    with nginx.family().spending() as cpu:
        alone += ask(nginx.port, [Lane(connections, rest)], {}).seconds
    seconds, details = _opened(stand, series, connections)
    return Pair(f"open-warm-{connections}", alone, seconds, {**details, "nginx_cpu_s": sum(cpu.values())})


def bodies(port: int, paths: list[str]) -> Iterator[bytes]:
    """The bodies that the gateway answers, metadata compressed, frames as stored."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for path in paths:
        headers = _METADATA if path.endswith("/metadata") else STORED
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:300]
        yield body
    connection.close()


_FLOOR = f"300 x 30 ms / {_IN_FLIGHT} in flight"

SCENARIOS = (
    Scenario(
        "open-series",
        "a 300-slice series with 6 and 32 connections, cold and then warm",
        tuple(
            line
            for connections in CONNECTIONS
            for line in (
                Line(
                    f"open-cold-{connections}",
                    f"open of 300 slices, cold, {connections} connections",
                    _FLOOR,
                    "s",
                    Budget(4),
                ),
                Line(
                    f"open-warm-{connections}",
                    f"the same warm, {connections} connections",
                    "nginx, the same bytes",
                    "s",
                    Budget(4),
                ),
            )
        ),
        _open_series,
    ),
)
