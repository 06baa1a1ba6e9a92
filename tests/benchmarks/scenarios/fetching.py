"""Frames that nothing has cached: CPU beside a bare loop, and the rate that the latency allows."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.workflow.verifying.checker import CheckerConfig
from dicomweb_gateway.workflow.verifying.run import verify
from tests.benchmarks.bench import LATENCY_MS, Bench, Measured
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario, percentiles
from tests.benchmarks.signed_loop import measure_loop

_LOOP = "urllib3 + SigV4, bare loop, 32 threads"
_CONNECTIONS = 32
_FLIGHTS = {32: 0.85, 64: 0.8}


def _cold_frames(bench: Bench) -> Iterator[Pair]:
    count = bench.size(400, 5)
    plain = [bench.series(count) for _ in range(bench.rounds)]
    verified = [bench.series(count) for _ in range(bench.rounds)]
    with ExitStack() as stack:
        without = stack.enter_context(bench.stand(plain, {"VERIFY_CHECKSUMS": "off"}))
        with_check = stack.enter_context(bench.stand(verified))
        for one, other in zip(plain, verified, strict=True):
            loop = measure_loop(without.upstream.url, one, count).cpu * 1000
            ours = measure_loop(without.upstream.url, one, count, ours=True)
            yield Pair("transport-cpu", loop, ours.cpu * 1000, {"frames_per_s": ours.rate})
            measured = without.ask(one.frame_paths, _CONNECTIONS)
            fetchers = measured.cpu.get("fetchers", 0.0) / count * 1000
            yield Pair("fetcher-cpu", loop, fetchers, _details(measured, count))
            yield Pair("cold-frame", loop, measured.total / count * 1000, _details(measured, count))
            measured = with_check.ask(other.frame_paths, _CONNECTIONS)
            own = measured.total / count * 1000
            yield Pair("cold-frame-verified", loop, own, _details(measured, count))


def _details(measured: Measured, count: int) -> dict[str, Any]:
    return {
        "frames_per_s": round(measured.outcome.rate, 1),
        "client_cpu_ms": measured.outcome.cpu / count * 1000,
        "cpu_ms_by_process": {role: cpu / count * 1000 for role, cpu in measured.cpu.items()},
        **percentiles(measured.outcome.latencies),
    }


def _fetch_rate(bench: Bench) -> Iterator[Pair]:
    frames, instances = bench.size(200, 4), bench.size(16, 2)
    for flight in _FLIGHTS:
        settings = {
            "VERIFY_CHECKSUMS": "off",
            "FETCHER_PROCESSES": "1",
            "FETCHES_IN_FLIGHT": str(flight),
            "WEB_PROCESSES": "1",
        }
        all_series = [bench.series(instances, frames) for _ in range(bench.rounds)]
        with bench.stand(all_series, settings) as stand:
            for series in all_series:
                # lists of many frames, so that serving them costs little beside fetching
                paths = [f"{path}/frames" for path in series.instance_paths]
                # says what the machine has left: a loop of 32 threads that does nothing else
                loop = measure_loop(stand.upstream.url, series, bench.size(800, 8))
                measured = stand.ask(paths, connections=4)
                rate = instances * frames / measured.outcome.seconds
                yield Pair(
                    f"fetch-rate-{flight}",
                    flight / (LATENCY_MS / 1000),
                    rate,
                    {
                        "cpu_s_by_process": measured.cpu,
                        **measured.machine,
                        "bare_loop_frames_per_s": loop.rate,
                    },
                )


def _verify_rate(bench: Bench) -> Iterator[Pair]:
    frames, instances = bench.size(200, 4), bench.size(16, 2)
    count = frames * instances
    served = [bench.series(instances, frames) for _ in range(bench.rounds)]
    verified = [bench.series(instances, frames) for _ in range(bench.rounds)]
    settings = {"FRAME_RATE_LIMIT": "0", "WEB_PROCESSES": "1"}
    with bench.stand([*served, *verified], settings) as stand:
        fetching = FetcherConfig("", 0, 0, stand.upstream.url, "us-east-1", decoders=1)
        image_sets = HealthImaging(stand.upstream.url, "us-east-1")
        try:
            for series, other in zip(served, verified, strict=True):
                measured = stand.ask([f"{path}/frames" for path in series.instance_paths], connections=4)
                report = verify(
                    image_sets.metadata,
                    [ImageSetRef(other.datastore_id, other.image_set_id)],
                    CheckerConfig(fetching),
                    processes=os.cpu_count() or 1,
                )
                if not report.is_fine or report.frames != count:
                    raise AssertionError(list(report.lines()))
                details = {**measured.machine, "with_start_of_processes_s": report.seconds}
                yield Pair("verify-rate", count / measured.outcome.seconds, count / report.seconds, details)
        finally:
            image_sets.close()


SCENARIOS = (
    Scenario(
        "cold-frames",
        "CPU of fetcher and gateway for a frame that is nowhere cached",
        (
            Line("transport-cpu", "way to HealthImaging alone, CPU per frame", _LOOP, "ms", Budget(1.1)),
            Line("fetcher-cpu", "fetcher CPU per frame, not verifying", _LOOP, "ms", Budget(1.1)),
            Line("cold-frame", "cold frame, whole gateway CPU, not verifying", _LOOP, "ms", Budget(4.5)),
            Line("cold-frame-verified", "cold frame, whole gateway CPU, verifying", _LOOP, "ms", Budget(8)),
        ),
        _cold_frames,
    ),
    Scenario(
        "fetch-rate",
        "frames a second of one fetcher over an upstream that answers 30 ms late",
        tuple(
            Line(
                f"fetch-rate-{flight}",
                f"fetcher rate, 30 ms upstream, {flight} in flight",
                f"{flight} / 0.030 s",
                "frames/s",
                Budget(share, at_most=False),
            )
            for flight, share in _FLIGHTS.items()
        ),
        _fetch_rate,
    ),
    Scenario(
        "verify-rate",
        "frames a second of the command `verify`, its processes' start included",
        (
            Line(
                "verify-rate",
                "`verify`, 30 ms upstream, one process per core",
                "frames through the gateway, cold, verified",
                "frames/s",
                Budget(0.8, at_most=False),
            ),
        ),
        _verify_rate,
    ),
)
