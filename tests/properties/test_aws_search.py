"""Searching what the AWS Lambda wrote, alone or beside our indexer, against the naive matcher.

PROPERTY_CASES sets the number of searches for each kind of index (default 100).
"""

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.index import search_plan, seen, unknown_rows
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from tests.databases import drop_database, new_aws_database
from tests.properties import matcher
from tests.properties.aws_store import NO_COLUMN, fill, lambda_archive, mixed_archive
from tests.properties.drawing import drawn
from tests.properties.matcher import LEVELS, Matcher, RefusedError, clock, fold
from tests.properties.strategies import searches
from tests.properties.test_search import SWITCHES, UID_OF

CASES = int(os.environ.get("PROPERTY_CASES", "100"))
STORES = max(4, CASES // 250)
ARCHIVES = {"lambda": lambda_archive, "upgraded": lambda_archive, "mixed": mixed_archive}

ORDERS = {
    "study": ["StudyDate", "StudyTime", "PatientID", "PatientName", "AccessionNumber"],
    "series": ["SeriesNumber", "Modality", "SeriesDescription"],
    "instance": ["InstanceNumber", "ContentDate"],
}
COUNTS = ("00201206", "00201208", "00201209")


@pytest.fixture(scope="module")
def search_of(mariadb_server: str) -> Iterator[Callable[[str, int], IndexSearch]]:
    """`search_of(kind, seed)` searches the index of that archive; each is filled at first use."""
    made: dict[tuple[str, int], tuple[str, Engine, IndexSearch]] = {}

    def get(kind: str, seed: int) -> IndexSearch:
        if (kind, seed) not in made:
            name, url = new_aws_database(mariadb_server)
            if kind == "mixed":
                upgrade(url)
            engine = make_engine(url)
            fill(engine, ARCHIVES[kind](seed))
            if kind == "upgraded":
                upgrade(url)
            if kind == "mixed" and seed % 2:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(seen, "LAG", seen.LAG * 0)
                    while seen.look_on(engine):
                        pass
            made[kind, seed] = name, engine, IndexSearch(engine)
        return made[kind, seed][2]

    yield get
    for name, engine, _ in made.values():
        engine.dispose()
        drop_database(mariadb_server, name)


@st.composite
def asked_of(draw, kind):
    """A search of `strategies`, what it is sorted by, and limits of the planner that small archives reach."""
    seed, level, pairs, switches, scope, page = draw(searches(lambda n: ARCHIVES[kind](n).studies, STORES))
    # how a word sounds is not kept in AWS tables (README, Searching)
    switches = {**switches, "phonetic": False}
    usable = [key for above in LEVELS[: LEVELS.index(level) + 1] for key in ORDERS[above]]
    order = draw(st.lists(st.tuples(st.sampled_from(usable), st.booleans()), max_size=2))
    limits = draw(st.sampled_from([(2000, 300, 5000), (2, 2, 3), (3, 1, 6)]))
    return seed, level, pairs, switches, scope, page, order, limits


def answered(search, level, pairs, switches, scope, page, order, limits):
    """Rows and total of the answer, None when the search is refused."""
    asked = [(key, value.replace("..", "-") if key in matcher.MOMENTS else value) for key, value in pairs]
    asked += [(parameter, str(switches[name]).lower()) for name, parameter in SWITCHES.items()]
    asked += [("limit", str(page[0])), ("offset", str(page[1]))] if page else []
    asked += [("orderby", f"{'-' * descending}{key}") for key, descending in order]
    scope = {f"{name}_uid": uid for name, uid in scope.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unknown_rows, "FEW", limits[0])
        patch.setattr(search_plan, "LISTED", limits[1])
        patch.setattr(search_plan, "MANY", limits[2])
        try:
            result = search(parse_query(level, [*asked, ("totalcount", "true")], **scope))
        except InvalidRequest:
            return None
    return result.rows, result.total


def expected(archive, level, pairs, switches, scope, order, held):
    """The chains of what matches, in order, None when the search is to be refused."""
    wanted = Matcher(level, pairs, **switches, **scope)
    try:
        uids = wanted.run(archive.studies)
    except RefusedError:
        return None
    compared = [key for key, values in wanted.keys.items() if not wanted.universal(key, values)]
    if NO_COLUMN & set(compared):
        if not held:
            return None
        uids = [uid for uid in uids if uid in archive.known]
    depth = LEVELS.index(level) + 1
    chains = {
        chain[depth - 1].uid: chain[:depth]
        for chain in ((a, b, c) for a in archive.studies for b in a.below for c in b.below)
    }
    found = [chains[uid] for uid in uids]
    if order:
        found.sort(key=lambda chain: chain[-1].uid)
    for key, descending in reversed(order):
        found.sort(key=partial(_sort_value, key), reverse=descending)
    return found


def _sort_value(key, chain):
    """Missing values are less than all others (Q-38)."""
    value = next(thing.tags[key] for thing in chain if key in thing.tags)
    if value is None:
        return (0, 0)
    if key in matcher.NUMBERS:
        return (1, int(value))
    if key in matcher.TIMES:
        return (1, clock(value))
    found = fold(value.split("=")[0]) if key in matcher.NAMES else value.strip(" ")
    return (1, found) if found else (0, 0)


def counts(level, scope, chain):
    """Q-49: what the searches below find, of the levels that the answer tells of (Q-47)."""
    found = {}
    if level == "study" or "study" not in scope:
        found["00201206"] = len(chain[0].below)
        found["00201208"] = sum(len(series.below) for series in chain[0].below)
        found["00080061"] = sorted({one.tags["Modality"] for one in chain[0].below if one.tags["Modality"]})
    if level == "series" or (level == "instance" and "series" not in scope):
        found["00201209"] = len(chain[1].below)
    return found


def check_page(found, wanted, level, scope, page):
    """A page of rows and their total are those of the things that are `wanted`, None for both: refused."""
    if wanted is None or found is None:
        assert found is wanted
        return
    rows, total = found
    assert total == len(wanted)
    wanted = wanted[page[1] : page[1] + page[0]] if page else wanted
    assert [row[UID_OF[level]]["Value"][0] for row in rows] == [chain[-1].uid for chain in wanted]
    assert [shown(row) for row in rows] == [counts(level, scope, chain) for chain in wanted]


def shown(row):
    numbers = {key: row[key]["Value"][0] for key in COUNTS if key in row}
    studys = {"00080061": row.get("00080061", {}).get("Value", [])} if "00201206" in row else {}
    return {**numbers, **studys}


@pytest.mark.parametrize("kind", ARCHIVES)
@drawn(CASES)
@given(data=st.data())
def test_searches_find_what_the_contract_says(search_of, kind, data):
    seed, level, pairs, switches, scope, page, order, limits = data.draw(asked_of(kind))
    archive = ARCHIVES[kind](seed)
    found = answered(search_of(kind, seed), level, pairs, switches, scope, page, order, limits)
    wanted = expected(archive, level, pairs, switches, scope, order, held=kind == "mixed")
    check_page(found, wanted, level, scope, page)
