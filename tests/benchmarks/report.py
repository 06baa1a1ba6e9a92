"""The results as a table for a terminal, as Markdown and as JSON."""

import os
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Result

_HEAD = ("what", "beside", "yardstick", "ours", "ratio", "budget", "met")


def _row(result: Result) -> tuple[str, ...]:
    line, ratios = result.line, result.ratios
    spread = f" ({ratios[0]:.2f} - {ratios[-1]:.2f})" if len(ratios) > 1 else ""
    return (
        line.title,
        line.yardstick,
        "-" if result.yardstick is None else f"{_figure(result.yardstick)} {line.unit}",
        f"{_figure(result.own)} {line.unit}",
        "-" if result.ratio is None else f"{result.ratio:.2f}{spread}",
        str(line.budget or "-"),
        {True: "yes", False: "NO", None: "-"}[result.met],
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(results: Iterable[Result]) -> str:
    """Columns of equal width, for a terminal."""
    return _aligned([_HEAD, *map(_row, results)])


def as_markdown(results: Iterable[Result]) -> str:
    """The same for the README."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_row, results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def plain_table(rows: Sequence[dict[str, Any]], markdown: bool = False) -> str:
    """Rows with the same keys, which head the columns."""
    if not rows:
        return ""
    cells = [tuple(rows[0]), *(tuple(map(_cell, row.values())) for row in rows)]
    if not markdown:
        return _aligned(cells)
    cells.insert(1, ("---",) * len(cells[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _cell(value: Any) -> str:
    return _figure(value) if isinstance(value, float) else str(value)


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
