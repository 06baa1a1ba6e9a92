"""What a scenario yields and what becomes of it: pairs of yardstick and ours, medians, budgets."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks.bench import Bench


@dataclass(frozen=True)
class Budget:
    """A limit of the ratio to the yardstick, or of the value itself; `at_most` False: at least."""

    limit: float
    at_most: bool = True
    of_ratio: bool = True

    def met(self, value: float) -> bool:
        """Whether `value`, a ratio or not as the budget says, keeps to it."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}{'x' if self.of_ratio else ''}"


@dataclass(frozen=True)
class Line:
    """One line of the table: what is measured, beside what, in which unit."""

    name: str
    title: str
    yardstick: str
    unit: str
    budget: Budget | None = None


@dataclass(frozen=True)
class Pair:
    """One round of one line, measured right after each other; `yardstick` None where there is none."""

    line: str
    yardstick: float | None
    own: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """`run` yields the pairs of all its lines, round by round; `lacks` says what is missing here, or None."""

    name: str
    about: str
    lines: tuple[Line, ...]
    run: "Callable[[Bench], Iterator[Pair]]"
    lacks: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class Result:
    """A line with all its rounds."""

    line: Line
    pairs: tuple[Pair, ...]

    @property
    def own(self) -> float:
        """Ours, the median of all rounds."""
        return statistics.median(pair.own for pair in self.pairs)

    @property
    def yardstick(self) -> float | None:
        """The yardstick's median, None where there is none."""
        known = [pair.yardstick for pair in self.pairs if pair.yardstick is not None]
        return statistics.median(known) if known else None

    @property
    def ratios(self) -> list[float]:
        """Ours over the yardstick, smallest first: of each round, so that what slows both cancels out."""
        return sorted(pair.own / pair.yardstick for pair in self.pairs if pair.yardstick)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None where there is none."""
        budget = self.line.budget
        value = self.ratio if budget is not None and budget.of_ratio else self.own
        return None if budget is None or value is None else budget.met(value)

    def as_json(self) -> dict[str, Any]:
        """All of it, rounds included."""
        return {
            "line": self.line.name,
            "title": self.line.title,
            "yardstick_is": self.line.yardstick,
            "unit": self.line.unit,
            "yardstick": self.yardstick,
            "own": self.own,
            "ratio": self.ratio,
            "ratios": self.ratios,
            "budget": None if self.line.budget is None else str(self.line.budget),
            "met": self.met,
            "rounds": [{"yardstick": pair.yardstick, "own": pair.own, **pair.details} for pair in self.pairs],
        }


def results_of(lines: Iterable[Line], pairs: Iterable[Pair]) -> list[Result]:
    """The lines that have rounds, in the order of `lines`."""
    by_line: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_line.setdefault(pair.line, []).append(pair)
    return [Result(line, tuple(by_line[line.name])) for line in lines if line.name in by_line]


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest of `values` that at least `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    values = list(seconds)
    return {f"p{share}_ms": round(quantile(values, share / 100) * 1000, 2) for share in (50, 95, 99)}
