"""Metadata of a series of 1,000 instances, the first time and again."""

import time
from collections.abc import Iterator

import orjson

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import Lane, ask
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles

_HEADERS = {"Accept": "application/dicom+json", "Accept-Encoding": "gzip"}


def _metadata(bench: Bench) -> Iterator[Pair]:
    instances, asked = bench.size(1000, 5), bench.size(200, 5)
    rounds = [[bench.series(instances) for _ in range(3)] for _ in range(bench.rounds)]
    with bench.stand([one for several in rounds for one in several], latency_ms=0) as stand:
        for several in rounds:
            bare = sum(_parsed_and_written(one.document) for one in several) / len(several) * 1000
            measured = stand.ask([f"{one.path}/metadata" for one in several], headers=_HEADERS)
            own = measured.total / len(several) * 1000
            details = {"answer_bytes": measured.outcome.size / len(several)}
            yield Pair("metadata-cold", bare, own, details | percentiles(measured.outcome.latencies))
            with stand.gateway.family().spending() as cpu:
                ask(stand.gateway.port, [Lane(4, ["/healthcheck"] * asked)], {})
            tiny = sum(cpu.values()) / asked * 1000
            measured = stand.ask([f"{several[0].path}/metadata"] * asked, 4, _HEADERS)
            own = measured.total / asked * 1000
            yield Pair("metadata-warm", tiny, own, percentiles(measured.outcome.latencies))


def _parsed_and_written(document: bytes) -> float:
    """CPU seconds of parsing and writing it once."""
    began = time.thread_time()
    orjson.dumps(orjson.loads(document))
    return time.thread_time() - began


SCENARIOS = (
    Scenario(
        "metadata",
        "CPU of series metadata of 1,000 instances, cold and warm",
        (
            Line(
                "metadata-cold",
                "series metadata of 1,000 instances, cold, CPU",
                "orjson loads + dumps of HealthImaging's document",
                "ms",
                Budget(2.5),
            ),
            Line("metadata-warm", "the same warm, CPU", "a tiny answer", "ms", Budget(3)),
        ),
        _metadata,
    ),
)
