"""Pictures of frames that the store has and nobody has rendered yet."""

import time
from collections.abc import Iterator

import imagecodecs

from tests.benchmarks.bench import Bench
from tests.benchmarks.content import Series
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles

_JPEG = {"Accept": "image/jpeg"}


def _rendering(bench: Bench) -> Iterator[Pair]:
    count = bench.size(100, 4)
    rounds = [bench.series(count) for _ in range(bench.rounds)]
    with bench.stand(rounds, latency_ms=0) as stand:
        for series in rounds:
            stand.ask(series.frame_paths, 8)
            alone = _decoding(series) * 1000
            for line, end in (("rendered", "/rendered"), ("thumbnail", "/thumbnail?viewport=128,128")):
                measured = stand.ask([f"{path}{end}" for path in series.frame_paths], 2, _JPEG)
                own = measured.total / count * 1000
                details = {"cpu_s_by_process": measured.cpu} | percentiles(measured.outcome.latencies)
                yield Pair(line, alone, own, details)


def _decoding(series: Series) -> float:
    """CPU seconds that imagecodecs needs for one frame, all of the pool taken in turn."""
    began = time.thread_time()
    for frame in series.pool:
        imagecodecs.htj2k_decode(frame.payload)
    return (time.thread_time() - began) / len(series.pool)


_ALONE = "imagecodecs decode alone"

SCENARIOS = (
    Scenario(
        "rendering",
        "CPU of JPEG and thumbnail of a stored 512 x 512 frame",
        (
            Line("rendered", "rendered 512 x 512 JPEG, CPU", _ALONE, "ms", Budget(1.8)),
            Line("thumbnail", "thumbnail of 128 pixels, CPU", _ALONE, "ms", Budget(0.4)),
        ),
        _rendering,
    ),
)
