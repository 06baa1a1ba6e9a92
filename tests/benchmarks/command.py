"""The command line of the benchmarks."""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import Bench
from tests.benchmarks.curves import CURVES
from tests.benchmarks.measuring import Result, Scenario, results_of
from tests.benchmarks.report import as_markdown, as_table, machine, plain_table
from tests.benchmarks.scenarios import (
    clicks,
    fetching,
    levels,
    metadata,
    opening,
    rendering,
    searching,
    serving,
    streaming,
)

SCENARIOS: tuple[Scenario, ...] = (
    *fetching.SCENARIOS,
    *opening.SCENARIOS,
    *serving.SCENARIOS,
    *levels.SCENARIOS,
    *metadata.SCENARIOS,
    *rendering.SCENARIOS,
    *streaming.SCENARIOS,
    *searching.SCENARIOS,
    *clicks.SCENARIOS,
)


BY_HAND = {
    "big-series": "series of gigabytes through a demo: memory of all processes, metadata beside yardsticks",
    "corpus-table": "every file of the corpus through the whole path: what comes out against what went in",
    "qido-scale": "searches of an index of N studies on MariaDB beside their SQL",
    "soak": "viewers for minutes under faults and kills, every answer compared with the truth",
    "token-check": "CPU of finding out who asks, by kind of login, verified anew and kept",
}
"""Benchmarks of their own, with options of their own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out what the command line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else ""
    if first in BY_HAND:
        module = importlib.import_module(f"tests.benchmarks.{first.replace('-', '_')}")
        sys.argv = [first, *given[1:]]
        module.main()
    elif first == "curves":
        _curves(curves_parser().parse_args(given[1:]))
    else:
        _scenarios(parser().parse_args(given))


def _scenarios(options: argparse.Namespace) -> None:
    names = options.scenario or [scenario.name for scenario in SCENARIOS]
    with work_folder(options.work) as work:
        bench = _bench(work, options)
        results, skipped = run_scenarios(bench, [one for one in SCENARIOS if one.name in names])
    print((as_markdown if options.markdown else as_table)(results))
    for name, reason in skipped.items():
        print(f"{name} skipped: {reason}")
    if options.quick:
        print("a quick run: the figures mean nothing")
    if options.json:
        write_json(options.json, bench, {"results": [one.as_json() for one in results], "skipped": skipped})


def _curves(options: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    with work_folder(options.work) as work:
        bench = _bench(work, options)
        for name in options.curve or CURVES:
            found[name] = list(CURVES[name](bench))
            print(f"\n{CURVES[name].__doc__}\n\n{plain_table(found[name], options.markdown)}", flush=True)
    if options.json:
        write_json(options.json, bench, {"curves": found})


def _bench(work: Path, options: argparse.Namespace) -> Bench:
    return Bench(work, options.rounds or (1 if options.quick else 5), options.quick, options.profile)


def parser() -> argparse.ArgumentParser:
    """Options of the scenarios, which are listed at the end."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="The scenarios of the performance budget, each beside its yardstick in the same minute.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(),
    )
    made.add_argument("scenario", nargs="*", type=_scenario, metavar="SCENARIO", help="those named; else all")
    made.add_argument("--rounds", type=int, help="rounds of each (5)")
    add_common(made)
    return made


def curves_parser() -> argparse.ArgumentParser:
    """Options of the curves."""
    made = argparse.ArgumentParser(
        prog="python -m tests.benchmarks curves",
        description="Frames a second and CPU per frame against connections, length, viewers, cache size.",
    )
    made.add_argument("curve", nargs="*", type=_curve, metavar="CURVE", help=f"of {', '.join(CURVES)}")
    made.set_defaults(rounds=1)
    add_common(made)
    return made


def _epilog() -> str:
    names = {one.name: one.about for one in SCENARIOS}
    blocks = {"scenarios": names, "instead of scenarios": {"curves": curves_parser().description, **BY_HAND}}
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:14} {about}" for name, about in block.items())])
        for title, block in blocks.items()
    )


def _curve(name: str) -> str:
    if name not in CURVES:
        raise argparse.ArgumentTypeError(f"there is no curve {name}")
    return name


def _scenario(name: str) -> str:
    if name not in {one.name for one in SCENARIOS}:
        raise argparse.ArgumentTypeError(f"there is no scenario {name}")
    return name


def add_common(made: argparse.ArgumentParser) -> None:
    """Options that the scenarios and the curves share."""
    made.add_argument("--quick", action="store_true", help="little data and one round: does it run?")
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


def write_json(path: Path, bench: Bench, found: dict[str, Any]) -> None:
    """All that was found and on what, for programs and for comparing runs."""
    content = {"machine": machine(), "rounds": bench.rounds, "quick": bench.quick, **found}
    path.write_text(json.dumps(content, indent=1))
