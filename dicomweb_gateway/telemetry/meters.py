"""What this process counts, and what all processes of its gateway have counted together.

`start` is called once after a fork; a process that no gateway started counts for itself alone.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from typing import Any

from dicomweb_gateway.telemetry.catalogue import METRICS, UNCOUNTED, Labels, Metric
from dicomweb_gateway.telemetry.rows import Entry, Rows

_SEPARATOR = "\x1f"
_NOWHERE = ""
"""Key of cells into which goes what finds no room."""
_NOWHERE_CELLS = 32
_EACH = 3
"""Rows of one place: of who has it, and of those before him that still end their answers."""


class Meters:
    """The numbers of one process, in its `row`; safe from any thread."""

    def __init__(self, rows: Rows, row: int) -> None:
        self.rows = rows
        self.row = row
        self._cells = rows.cells
        self._lock = Lock()
        self._places: dict[tuple[Metric, Labels], int] = {}
        self._known = {entry.key: entry for entry in rows.entries(row)}
        self._nowhere = self._find(_NOWHERE, _NOWHERE_CELLS) or 0
        self.kept: dict[Any, Any] = {}
        """What somebody made of `places`, by names of their choice: hashing labels takes longest."""
        for entry in self._known.values():
            metric = METRICS.get(entry.key.partition(_SEPARATOR)[0])
            if metric is not None and metric.kind == "gauge":
                self._cells[entry.first] = 0.0

    def places(self, *series: tuple[Metric, Labels]) -> tuple[int, ...]:
        """The first cells of `series`, for `bump`."""
        return tuple(self._place(metric, labels) for metric, labels in series)

    def bump(self, *amounts: tuple[int, float]) -> None:
        """Add amounts to the cells that go with them."""
        cells = self._cells
        with self._lock:
            for place, amount in amounts:
                cells[place] += amount

    def shift(self, place: int, amount: float) -> None:
        """Add `amount` to one cell."""
        with self._lock:
            self._cells[place] += amount

    def add(self, metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
        """Add `amount` to a counter or gauge."""
        self.shift(self._places.get((metric, labels)) or self._place(metric, labels), amount)

    def observe(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        """Put `value` into a histogram."""
        place = self._places.get((metric, labels)) or self._place(metric, labels)
        self.bump((place + bisect_left(metric.buckets, value), 1), (place + metric.cells - 1, value))

    def note(self, facts: dict[str, Any]) -> None:
        """Remember `facts`, few and short, as one of the last things that went wrong."""
        with self._lock:
            self.rows.note(self.row, json.dumps(facts).encode())

    def _place(self, metric: Metric, labels: Labels) -> int:
        """Index of the first cell; where there is no room one that nobody reads, which is counted too."""
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}")
        with self._lock:
            place = self._find(_SEPARATOR.join((metric.name, *labels)), metric.cells)
            self._places[metric, labels] = self._nowhere if place is None else place
        if place is None and metric is not UNCOUNTED:
            self.add(UNCOUNTED)
        return self._places[metric, labels]

    def _find(self, key: str, cells: int) -> int | None:
        """The first cell under `key`, from a process before or new; None where there is no room."""
        known = self._known.get(key)
        if known is not None and known.cells == cells:
            return known.first
        first = self.rows.append(self.row, key, cells)
        if first is not None:
            self._known[key] = Entry(key, first, cells)
        return first


class SharedMeters:
    """Rows for the master process, `web` web processes and `fetchers` frame fetchers."""

    def __init__(self, web: int = 0, fetchers: int = 0) -> None:
        self._first = {"master": 0, "web": 1, "fetcher": 1 + web * _EACH}
        self.rows = Rows(1 + (web + fetchers) * _EACH)

    def claim(self, kind: str, number: int = 0) -> Meters:
        """The meters of the calling process; where no row is free it counts for itself alone."""
        each = 1 if kind == "master" else _EACH
        first = self._first[kind] + number * each
        row = self.rows.claim(range(first, min(first + each, self.rows.count)))
        return Meters(self.rows, row) if row is not None else SharedMeters().claim("master")


class _Here:
    """The meters of this process."""

    meters = SharedMeters().claim("master")


def start(meters: Meters) -> None:
    """Count in `meters` from now on."""
    _Here.meters = meters


def here() -> Meters:
    """The meters of this process."""
    return _Here.meters


def count(metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
    """Add to a counter or gauge of this process."""
    _Here.meters.add(metric, labels, amount)


def observe(metric: Metric, value: float, labels: Labels = ()) -> None:
    """Put a value into a histogram of this process."""
    _Here.meters.observe(metric, value, labels)


def note_failure(facts: dict[str, Any]) -> None:
    """Remember `facts`, nothing of patients, as one of the last things that went wrong."""
    _Here.meters.note(facts)


def totals() -> dict[tuple[str, Labels], list[float]]:
    """By name and labels the numbers of all processes together; gauges of those that live."""
    rows = _Here.meters.rows
    found: dict[tuple[str, Labels], list[float]] = {}
    for row in range(rows.count):
        if not rows.owner(row):
            continue
        is_live = rows.is_live(row)
        for key, first, cells in rows.entries(row):
            name, *labels = key.split(_SEPARATOR)
            if key == _NOWHERE:
                continue
            if METRICS[name].kind == "gauge" and not is_live:
                continue
            values = [float(one) for one in rows.cells[first : first + cells]]
            before = found.get((name, tuple(labels)))
            found[name, tuple(labels)] = (
                values if before is None else [a + b for a, b in zip(before, values, strict=True)]
            )
    return found


def live_processes() -> int:
    """How many processes count here now."""
    rows = _Here.meters.rows
    return sum(rows.is_live(row) for row in range(rows.count))


def failures() -> list[dict[str, Any]]:
    """What all processes noted, newest first."""
    return sorted(_noted(), key=lambda facts: str(facts.get("time", "")), reverse=True)


def _noted() -> Iterator[dict[str, Any]]:
    rows = _Here.meters.rows
    for row in range(rows.count):
        for text in rows.notes(row):
            # one that is being written at this moment
            with suppress(ValueError):
                yield json.loads(text)
