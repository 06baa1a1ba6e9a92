"""How MariaDB goes about every query shape: by which index, and never through all rows of a large table.

Over our side tables, and over an index that the AWS Lambda alone has filled and `db upgrade` has added to.
The plans are kept in golden/plans.json (`WRITE_GOLDEN=1 pytest tests/index/test_explain.py` writes it).
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dicomweb_gateway.index import search_plan
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import Grant, Sight
from tests.benchmarks.qido_fill import fill
from tests.benchmarks.qido_scale import BareSql, Shape, shapes, sounding_shapes
from tests.databases import drop_database, new_database

STUDIES = 6000
OURS = [*shapes(STUDIES), *sounding_shapes(STUDIES)]
BY_LAMBDA = [one for one in shapes(STUDIES) if one.level == "studies" and "Description" not in one.name]
"""No index can hold what series are sorted by there, and descriptions are left to be looked through."""

CASES = [*(("gateway", one) for one in OURS), *(("lambda", one) for one in BY_LAMBDA)]
GOLDEN = Path(__file__).parent / "golden" / "plans.json"
ROUNDS = 3
"""Different values of each shape; all must be found in the same way."""

WHOLE_INDEX = {
    "PatientName *infix*": {"gateway_person_name", "gateway_name", "patient"},
    "fuzzy name": {"patient"},
}
"""Shapes that may read all of an index (not the rows) of these tables."""

IN_ORDER = {"study_date_time_uid", "gateway_imageset_study"}
"""Indexes that are walked through no further than the page needs, or of which one entry is asked for."""

ALIKE = {"any_series: gateway_series_modality": "any_series: gateway_series_study_modality"}
"""Both hold study and modality and find the series of one study equally fast: MariaDB takes either."""


class Filled(NamedTuple):
    """Searches of two databases with the same studies."""

    gateway: BareSql
    by_lambda: BareSql

    def of(self, kind: str) -> BareSql:
        return self.gateway if kind == "gateway" else self.by_lambda


@pytest.fixture(scope="module")
def filled(mariadb_server: str) -> Iterator[Filled]:
    names, searches = [], []
    with pytest.MonkeyPatch.context() as patch:
        # so that few studies are many, as they are in an archive
        patch.setattr(search_plan, "LISTED", 20)
        patch.setattr(search_plan, "MANY", 200)
        for by_lambda in (False, True):
            name, url = new_database(mariadb_server)
            fill(url, STUDIES, by_lambda)
            upgrade(url)
            names.append(name)
            searches.append(BareSql(url))
        yield Filled(*searches)
    for one in searches:
        one.engine.dispose()
        one.connection.close()
    for name in names:
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


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=lambda one: getattr(one, "name", one))
def test_no_shape_reads_all_rows_of_a_table(filled: Filled, kind: str, shape: Shape) -> None:
    for plan in plans(filled.of(kind), shape):
        for line in plan:
            assert line["type"] != "ALL", line
            if line["type"] == "index" and line["key"] not in IN_ORDER:
                assert line["table"] in WHOLE_INDEX.get(shape.name, ()), line


@pytest.mark.parametrize(("kind", "shape"), CASES, ids=lambda one: getattr(one, "name", one))
def test_indexes_are_the_golden_ones(filled: Filled, kind: str, shape: Shape) -> None:
    found = plans(filled.of(kind), shape)
    used = sorted({f"{line['table']}: {line['key']}" for plan in found for line in plan})
    name = shape.name if kind == "gateway" else f"{shape.name} ({kind})"
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("WRITE_GOLDEN"):
        golden[name] = used
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    assert alike(golden[name]) == alike(used)


def test_a_scan_would_be_seen(filled: Filled) -> None:
    statement = "SELECT study_key FROM gateway_study WHERE attributes LIKE 'x%'"
    [line] = filled.gateway.explained([(statement, None)])
    assert line["type"] == "ALL"


@pytest.mark.parametrize(
    ("modality", "issuer", "study_key", "series_key"),
    [
        ("CT", "north", "gateway_study_issuer", "gateway_series_unique"),
        ("CT", None, "gateway_study_latest", "gateway_series_unique"),
        ("X?", "north", "PRIMARY", "gateway_series_modality"),
    ],
)
def test_what_a_caller_may_see_is_found_by_indexes(filled, modality, issuer, study_key, series_key):
    """Studies are walked through in their order where much is shown, and looked up by the series of few."""
    wanted = [("Modality", (modality,)), ("IssuerOfPatientID", (issuer,))]
    sight = Sight((Grant(None, tuple(one for one in wanted if one[1] != (None,))),))
    bare = filled.gateway
    bare.said.clear()
    bare.search.seen_by(sight)(parse_query("study", [("limit", "50")]))
    (page,) = [one for one in bare.said if "seen_series" in one[0]]
    lines = {line["table"]: line for line in bare.explained([page]) if line["table"] != "gateway_study"}
    studies = [one["key"] for one in bare.explained([page]) if one["table"] == "gateway_study"]
    # of two ways that both cost a look at few rows either may be taken
    assert str(lines["seen_series"]["key"]).endswith(series_key)
    assert study_key in studies
    assert None not in studies
