"""How MariaDB goes about every query shape: by which index, and never through all rows of a large table.

The plans are kept in golden/plans.json (`WRITE_GOLDEN=1 pytest tests/index/test_explain.py` writes it).
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.qido_fill import fill
from tests.benchmarks.qido_scale import BareSql, Shape, shapes, sounding_shapes
from tests.databases import drop_database, new_database

STUDIES = 6000
SHAPES = [*shapes(STUDIES), *sounding_shapes(STUDIES)]
GOLDEN = Path(__file__).parent / "golden" / "plans.json"
ROUNDS = 3
"""Different values of each shape; all must be found in the same way."""

WHOLE_INDEX = {"PatientName *infix*": {"gateway_person_name", "gateway_name"}}
"""Shapes that may read all of an index (not the rows) of these tables."""

ALIKE = {"any_series: gateway_series_modality": "any_series: gateway_series_study_modality"}
"""Both hold study and modality and find the series of one study equally fast: MariaDB takes either."""


@pytest.fixture(scope="module")
def bare(mariadb_server: str) -> Iterator[BareSql]:
    name, url = new_database(mariadb_server)
    fill(url, STUDIES)
    sql = BareSql(url)
    yield sql
    sql.engine.dispose()
    sql.connection.close()
    drop_database(mariadb_server, name)


def plans(bare: BareSql, shape: Shape) -> list[list[dict[str, str | None]]]:
    """EXPLAIN of every statement of some rounds of a shape, a line a table of ours."""
    chance = random.Random(shape.name)
    found = []
    for _ in range(ROUNDS):
        for statement in bare.statements(shape.level, shape.make(chance), shape.phonetic):
            lines = bare.explained([statement])
            found.append([line for line in lines if "<" not in (line["table"] or "<")])
    return found


def alike(used: list[str]) -> set[str]:
    return {ALIKE.get(one, one) for one in used}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_no_shape_reads_all_rows_of_a_table(bare: BareSql, shape: Shape) -> None:
    for plan in plans(bare, shape):
        for line in plan:
            assert line["type"] != "ALL", line
            if line["type"] == "index":
                assert line["table"] in WHOLE_INDEX.get(shape.name, ()), line


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_indexes_are_the_golden_ones(bare: BareSql, shape: Shape) -> None:
    used = sorted({f"{line['table']}: {line['key']}" for plan in plans(bare, shape) for line in plan})
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("WRITE_GOLDEN"):
        golden[shape.name] = used
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    assert alike(golden[shape.name]) == alike(used)


def test_a_scan_would_be_seen(bare: BareSql) -> None:
    [line] = bare.explained([("SELECT study_key FROM gateway_study WHERE attributes LIKE 'x%'", None)])
    assert line["type"] == "ALL"
