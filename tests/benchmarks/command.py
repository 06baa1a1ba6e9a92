"""The command line of the benchmarks."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Result, Scenario, results_of
from tests.benchmarks.report import as_markdown, as_table, machine
from tests.benchmarks.scenarios import fetching, metadata, opening, rendering, serving, streaming

SCENARIOS: tuple[Scenario, ...] = (
    *fetching.SCENARIOS,
    *opening.SCENARIOS,
    *serving.SCENARIOS,
    *metadata.SCENARIOS,
    *rendering.SCENARIOS,
    *streaming.SCENARIOS,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out what the command line says."""
    options = parser().parse_args(arguments)
    names = options.scenario or [scenario.name for scenario in SCENARIOS]
    with work_folder(options.work) as work:
        bench = Bench(work, options.rounds or (1 if options.quick else 5), options.quick, options.profile)
        results, skipped = run_scenarios(bench, [one for one in SCENARIOS if one.name in names])
    print((as_markdown if options.markdown else as_table)(results))
    for name, reason in skipped.items():
        print(f"{name} skipped: {reason}")
    if options.json:
        write_json(options.json, bench, results, skipped)


def parser() -> argparse.ArgumentParser:
    """Its options; the scenarios are listed at the end."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n" + "\n".join(f"  {one.name:14} {one.about}" for one in SCENARIOS),
    )
    made.add_argument("scenario", nargs="*", type=_scenario, metavar="SCENARIO", help="those named; else all")
    add_common(made)
    return made


def _scenario(name: str) -> str:
    if name not in {one.name for one in SCENARIOS}:
        raise argparse.ArgumentTypeError(f"there is no scenario {name}")
    return name


def add_common(made: argparse.ArgumentParser) -> None:
    """Options that the scenarios and the curves share."""
    made.add_argument("--quick", action="store_true", help="little data and one round: does it run?")
    made.add_argument("--rounds", type=int, help="rounds of each (5)")
    made.add_argument("--json", type=Path, metavar="PATH", help="write everything measured there")
    made.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    made.add_argument("--work", type=Path, metavar="FOLDER", help="where the data of the run lie (temporary)")
    made.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="profile all processes of the gateway (slower)"
    )


@contextmanager
def work_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder, removed at the end only: bulk deletes slow ext4 for a while."""
    work = Path(tempfile.mkdtemp(prefix="benchmarks-", dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_scenarios(bench: Bench, scenarios: Sequence[Scenario]) -> tuple[list[Result], dict[str, str]]:
    """(results, scenario to the reason why it was skipped)."""
    results: list[Result] = []
    skipped: dict[str, str] = {}
    for scenario in scenarios:
        lacking = scenario.lacks()
        if lacking is not None:
            skipped[scenario.name] = lacking
            continue
        print(f"{scenario.name}: {scenario.about}", file=sys.stderr, flush=True)
        results += results_of(scenario.lines, scenario.run(bench))
    return results, skipped


def write_json(path: Path, bench: Bench, results: list[Result], skipped: dict[str, str]) -> None:
    """All of it, for programs and for comparing runs."""
    content: dict[str, Any] = {
        "machine": machine(),
        "rounds": bench.rounds,
        "quick": bench.quick,
        "results": [result.as_json() for result in results],
        "skipped": skipped,
    }
    path.write_text(json.dumps(content, indent=1))
