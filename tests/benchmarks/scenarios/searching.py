"""Searches over HTTP beside the bare SQL of the same answer, and beside themselves in a larger index."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Budget, Line, Pair, Scenario
from tests.benchmarks.qido_scale import BareSql, Gateway, prepared, running_server, shapes, timed
from tests.databases import find_program

_SHAPES = {"qido-first": "first page", "qido-week": "StudyDate week", "qido-ct": "Modality CT"}
_TIMES = 5


def _searching(bench: Bench) -> Iterator[Pair]:
    sizes = bench.size(10_000, 200), bench.size(50_000, 400)
    folder = bench.folder()
    with (
        running_server(folder) as server,
        _serving(server, folder, sizes[0]) as small,
        _serving(server, folder, sizes[1]) as large,
    ):
        of_small, of_large = ({shape.name: shape for shape in shapes(size)} for size in sizes)
        for _ in range(bench.rounds):
            for line, name in _SHAPES.items():
                few, many = timed(*small, of_small[name], _TIMES), timed(*large, of_large[name], _TIMES)
                # a second time, as the first also fills the caches of the database
                here, there = (min(one.warm for one in several) for several in (few, many))
                yield Pair(line, min(one.sql for one in many), there, {"bytes": many[-1].size})
                yield Pair(f"{line}-growth", here, there)


@contextmanager
def _serving(server: str, folder: Path, studies: int) -> Iterator[tuple[Gateway, BareSql]]:
    url = prepared(server, folder, studies, "gateway")
    own = folder / f"gateway-{studies}"
    own.mkdir()
    gateway, bare = Gateway(url, own), BareSql(url)
    try:
        yield gateway, bare
    finally:
        gateway.stop()
        bare.close()


def _lacking() -> str | None:
    return None if find_program("mariadbd") else "MariaDB is not installed"


SCENARIOS = (
    Scenario(
        "searching",
        "50 studies of 50,000 over HTTP from MariaDB beside their SQL",
        tuple(
            line
            for name, shape in _SHAPES.items()
            for line in (
                Line(name, f"search, 50 rows: {shape}", "its SQL alone", "ms", Budget(2)),
                Line(f"{name}-growth", "the same in 50,000 studies", "in 10,000 studies", "ms", Budget(1.5)),
            )
        ),
        _searching,
        _lacking,
    ),
)
