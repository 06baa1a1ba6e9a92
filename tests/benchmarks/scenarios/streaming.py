"""A whole series in one answer: when it begins, and the memory of all processes together."""

from collections.abc import Iterator

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario

_FORMS = {"stored": "; transfer-syntax=*", "decoded": ""}


def _retrieve(bench: Bench) -> Iterator[Pair]:
    count = bench.size(2000, 5)
    for form, syntax in _FORMS.items():
        headers = {"Accept": f'multipart/related; type="application/dicom"{syntax}'}
        rounds = [(bench.series(1), bench.series(count)) for _ in range(bench.rounds)]
        with bench.stand([one for pair in rounds for one in pair]) as stand:
            for single, many in rounds:
                alone = stand.ask(single.instance_paths, headers=headers).outcome.seconds
                with stand.gateway.family().peak() as memory:
                    measured = stand.ask([many.path], headers=headers)
                details = {
                    "mb_per_s": measured.outcome.size / measured.outcome.seconds / 1e6,
                    "bytes": measured.outcome.size,
                    "pss_mb_by_process": {role: held / 1024 for role, held in memory.items()},
                    "cpu_s_by_process": measured.cpu,
                }
                first = measured.outcome.first_bytes[0]
                yield Pair(f"first-byte-{form}", alone * 1000, first * 1000, details)
                yield Pair(f"memory-{form}", None, memory["total"] / 1024, details)


SCENARIOS = (
    Scenario(
        "retrieve",
        "a series of 2,000 slices in one answer, as stored and decoded, cold",
        tuple(
            line
            for form in _FORMS
            for line in (
                Line(
                    f"first-byte-{form}",
                    f"series retrieve, {form}: first byte",
                    "one instance alone, cold",
                    "ms",
                    Budget(2),
                ),
                Line(
                    f"memory-{form}",
                    f"series retrieve, {form}: peak memory (PSS) of all processes",
                    "-",
                    "MB",
                    Budget(400, of_ratio=False),
                ),
            )
        ),
        _retrieve,
    ),
)
