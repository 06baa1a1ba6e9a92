"""How frames a second and CPU per frame change with connections, series length, viewers and cache size."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks.bench import Bench, Measured
from tests.benchmarks.client import Lane
from tests.benchmarks.measuring import percentiles

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTHS = (10, 30, 100, 300, 1000, 3000, 5000)
VIEWERS = (1, 2, 4, 8, 16, 32, 64)
_PER_VIEWER = 4
"""Connections of one viewer; browsers open six at most."""

Row = dict[str, Any]


def by_connections(bench: Bench) -> Iterator[Row]:
    """A series, cold and then warm, over ever more connections."""
    count = bench.size(600, 5)
    all_series = [bench.series(count) for _ in CONNECTIONS]
    with bench.stand(all_series) as stand:
        for connections, series in zip(CONNECTIONS, all_series, strict=True):
            cold = stand.ask(series.frame_paths, connections)
            warm = stand.ask(series.frame_paths, connections)
            yield {"connections": connections, **_figures("cold", cold), **_figures("warm", warm)}


def by_length(bench: Bench) -> Iterator[Row]:
    """Series of ever more slices, metadata first, then the frames over six connections."""
    lengths = LENGTHS[: bench.size(len(LENGTHS), 1)]
    all_series = [bench.series(length) for length in lengths]
    with bench.stand(all_series) as stand:
        for length, series in zip(lengths, all_series, strict=True):
            headers = {"Accept": "application/dicom+json", "Accept-Encoding": "gzip"}
            head = stand.ask([f"{series.path}/metadata"], headers=headers)
            cold = stand.ask(series.frame_paths, 6)
            warm = stand.ask(series.frame_paths, 6)
            yield {
                "slices": length,
                "metadata ms": head.outcome.seconds * 1000,
                **_figures("cold", cold),
                **_figures("warm", warm),
            }


def by_viewers(bench: Bench) -> Iterator[Row]:
    """Ever more viewers at once, each scrolling through a series of its own over four connections."""
    count = bench.size(60, 3)
    for viewers in VIEWERS[: bench.size(len(VIEWERS), 2)]:
        all_series = [bench.series(count) for _ in range(viewers)]
        with bench.stand(all_series) as stand:
            lanes = [Lane(_PER_VIEWER, series.frame_paths) for series in all_series]
            cold, warm = stand.ask_lanes(lanes), stand.ask_lanes(lanes)
            yield {"viewers": viewers, **_figures("cold", cold), **_figures("warm", warm)}


def by_cache(bench: Bench) -> Iterator[Row]:
    """Eight series opened one after the other, twice; the cache holds all, half or a quarter of them."""
    count = bench.size(150, 5)
    for share in (1.5, 0.5, 0.25):
        all_series = [bench.series(count) for _ in range(8)]
        whole = sum(len(one.pool[0].payload) * count for one in all_series)
        budget = max(1 << 20, int(whole * share))
        with bench.stand(all_series, {"CACHE_MAX_BYTES": str(budget)}) as stand:
            before = stand.upstream.calls()
            rounds = [[stand.ask(series.frame_paths, 6) for series in all_series] for _ in range(2)]
            after = stand.upstream.calls()
            row: Row = {"cache / working set": f"{share:g}"}
            for name, several in zip(("first", "again"), rounds, strict=True):
                seconds = sum(one.outcome.seconds for one in several)
                row[f"{name}: frames/s"] = count * len(several) / seconds
                row[f"{name}: CPU ms"] = sum(one.total for one in several) / (count * len(several)) * 1000
            row["upstream calls per frame"] = (after["calls"] - before["calls"]) / (
                after["frames"] - before["frames"]
            )
            yield row


def _figures(name: str, measured: Measured) -> Row:
    count = len(measured.outcome.latencies)
    times = percentiles(measured.outcome.latencies)
    return {
        f"{name}: frames/s": measured.outcome.rate,
        f"{name}: CPU ms": measured.total / count * 1000,
        f"{name}: p50 ms": times["p50_ms"],
        f"{name}: p99 ms": times["p99_ms"],
    }


CURVES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "connections": by_connections,
    "length": by_length,
    "viewers": by_viewers,
    "cache": by_cache,
}
