"""Searches and look-ups of callers who may not see all, against the naive matcher over what they may see.

PROPERTY_CASES sets the number of searches for each kind of index (default 40). All callers share one index
and what it keeps in memory.
"""

import os
from collections.abc import Callable, Container, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from dicomweb_gateway.errors import ResourceGone, ResourceNotFound
from dicomweb_gateway.index import seen
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.sight import Grant, Sight
from tests.aws_index.conftest import ImageSets
from tests.databases import drop_database, new_aws_database
from tests.properties.aws_store import Archive, fill, lambda_archive, mixed_archive
from tests.properties.drawing import drawn
from tests.properties.matcher import like
from tests.properties.store import Thing
from tests.properties.strategies import known_values, near
from tests.properties.test_aws_search import answered, asked_of, check_page, expected

CASES = int(os.environ.get("PROPERTY_CASES", "40"))
STORES = ("a" * 32, "b" * 32)
KEYWORDS = (
    *("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyDescription"),
    *("Modality", "SeriesDescription", "BodyPartExamined"),
)


def store_of(series_uid: str) -> str:
    return STORES[crc32(series_uid.encode()) % 2]


def ours(seed: int) -> Archive:
    """All by our indexer."""
    archive = lambda_archive(seed)
    chains = [(a, b, c) for a in archive.studies for b in a.below for c in b.below]
    known = {thing.uid for chain in chains for thing in chain}
    return Archive(archive.studies, [("ours", raw) for _, raw in archive.steps], known)


ARCHIVES = {"sqlite": ours, "ours": ours, "lambda": lambda_archive, "mixed": mixed_archive}
ASKED_AS = {"sqlite": "lambda", "ours": "lambda"}
"""Archives of `test_aws_search` with the same studies."""


def in_stores(archive: Archive) -> Archive:
    """Its image sets in two data stores, none at a newer version than our indexer has read."""
    steps = []
    for way, raw in deepcopy(archive.steps):
        (series,) = raw["Study"]["Series"]
        raw["DatastoreID"] = store_of(series)
        steps.append(("ours then theirs" if way == "a newer version by theirs" else way, raw))
    return replace(archive, steps=steps)


class Index(NamedTuple):
    engine: Engine
    search: IndexSearch
    reader: IndexReader


@pytest.fixture(scope="module")
def index_of(tmp_path_factory, request) -> Iterator[Callable[[str, int], Index]]:
    """`index_of(kind, seed)`: the index of that archive, filled at first use."""
    made: dict[tuple[str, int], Index] = {}
    names: list[str] = []

    def get(kind: str, seed: int) -> Index:
        if (kind, seed) not in made:
            if kind == "sqlite":
                url = f"sqlite:///{tmp_path_factory.mktemp('sights')}/index.db"
            else:
                name, url = new_aws_database(request.getfixturevalue("mariadb_server"))
                names.append(name)
            if kind != "lambda":
                upgrade(url)
            engine = make_engine(url)
            archive = in_stores(ARCHIVES[kind](seed))
            fill(engine, archive)
            image_sets = ImageSets(engine)
            for _, raw in archive.steps:
                image_sets.put(raw, indexed=False)
            if kind == "mixed" and seed % 2:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(seen, "LAG", seen.LAG * 0)
                    while seen.look_on(engine):
                        pass
            made[kind, seed] = Index(
                engine,
                IndexSearch(engine, source=image_sets, latest_seconds=3600),
                IndexReader(engine, 3600, None if kind == "sqlite" else image_sets, 3600),
            )
        return made[kind, seed]

    yield get
    for one in made.values():
        one.engine.dispose()
    for name in names:
        drop_database(request.getfixturevalue("mariadb_server"), name)


@st.composite
def sights(draw, studies) -> Sight:
    """Grants by data stores and patterns that are near what the archive holds."""
    grants = []
    for _ in range(draw(st.integers(0, 3))):
        keywords = draw(st.lists(st.sampled_from(KEYWORDS), max_size=2, unique=True))
        wanted = []
        for keyword in keywords:
            known = known_values(studies, keyword)
            pattern = near(known) | st.sampled_from(known) | st.sampled_from(["*", "?*", "", "[A-Z]*"])
            wanted.append((keyword, tuple(draw(st.lists(pattern, min_size=1, max_size=3)))))
        stores = draw(st.sampled_from([None, None, {STORES[0]}, {STORES[1]}, set(STORES), set()]))
        grants.append(Grant(None if stores is None else frozenset(stores), tuple(wanted)))
    if draw(st.booleans()):
        # most studies have a series of some modality, and few have series of one alone
        modality = draw(st.sampled_from(["CT", "MR", "?R"]))
        grants = [Grant(draw(st.sampled_from([None, frozenset(STORES[:1])])), (("Modality", (modality,)),))]
    return Sight(tuple(grants))


def may_see(sight: Sight, study: Thing, series: Thing) -> bool:
    """By the words of `sight.py`, without its code."""
    for grant in sight.grants:
        of_store = grant.stores is None or store_of(series.uid) in grant.stores
        values = [
            (str(study.tags.get(key) or series.tags.get(key) or "").strip(" "), patterns)
            for key, patterns in grant.wanted
        ]
        if of_store and all(value and any(like(one, value) for one in some) for value, some in values):
            return True
    return False


def visible(sight: Sight, studies: tuple[Thing, ...]) -> tuple[Thing, ...]:
    """What of `studies` may be seen; who has indexed it makes no difference."""
    found = []
    for study in studies:
        below = [one for one in study.below if one.below and may_see(sight, study, one)]
        if below:
            found.append(Thing(study.uid, study.tags, below))
    return tuple(found)


SETTINGS = drawn(CASES)


def known_of(kind: str, archive: Archive, sight: Sight) -> Container[str]:
    """The UIDs of what is compared by all keys: documents and our tables hold them all, AWS's tables few."""
    if sight.is_everything:
        return archive.known
    return {one.uid for a in archive.studies for one in (a, *a.below, *(c for b in a.below for c in b.below))}


@pytest.mark.parametrize("kind", ARCHIVES)
@SETTINGS
@given(data=st.data())
def test_what_a_sight_hides_is_as_if_it_did_not_exist(index_of, kind, data):
    asked = data.draw(asked_of(ASKED_AS.get(kind, kind)))
    seed, level, pairs, switches, scope, page, order, limits = asked
    archive = ARCHIVES[kind](seed)
    sight = data.draw(sights(archive.studies))
    if data.draw(st.booleans()):
        # whatever a caller sees: keys leave little of a small archive
        pairs, page = [], None
    search = index_of(kind, seed).search.seen_by(sight)
    found = answered(search, level, pairs, switches, scope, page, order, limits)
    seen_archive = Archive(visible(sight, archive.studies), known=known_of(kind, archive, sight))
    held = kind != "lambda" or not sight.is_everything
    wanted = expected(seen_archive, level, pairs, switches, scope, order, held=held)
    check_page(found, wanted, level, scope, page)


def looked_up(ask, *path):
    """What `ask` gives, [] for ResourceNotFound and nothing else."""
    try:
        found = ask(*path)
        return [found] if isinstance(found, InstanceRecord) else list(found)
    except ResourceGone:
        raise
    except ResourceNotFound:
        return []


@pytest.mark.parametrize("kind", ARCHIVES)
@drawn(max(1, CASES // 2))
@given(data=st.data())
def test_look_ups_lead_to_what_is_shown(index_of, kind, data):
    seed = data.draw(st.integers(0, 3))
    studies = ARCHIVES[kind](seed).studies
    sight = data.draw(sights(studies))
    reader = index_of(kind, seed).reader.seen_by(sight)
    seen_series = {one.uid: one for study in visible(sight, studies) for one in study.below}
    for study in data.draw(st.lists(st.sampled_from(studies), max_size=3)):
        here = {one.uid for one in study.below if one.uid in seen_series}
        assert set(looked_up(reader.study_series, study.uid)) == here
        stores = {ref.datastore_id for ref in looked_up(reader.image_sets, study.uid)}
        assert stores == {store_of(uid) for uid in here}
        records = looked_up(reader.study_instances, study.uid)
        assert {one.series_uid for one in records} == here
        outlines = looked_up(reader.outlines, study.uid)
        assert [one.instance_uid for one in outlines] == [one.instance_uid for one in records]
        for series in study.below:
            wanted = [one.uid for one in series.below] if series.uid in here else []
            found = looked_up(reader.series_instances, study.uid, series.uid)
            assert sorted(one.instance_uid for one in found) == sorted(wanted)
            for instance in series.below:
                record = looked_up(reader.instance, study.uid, series.uid, instance.uid)
                assert bool(record) == bool(wanted)
    # of what the Lambda alone wrote only who sees everything is told numbers
    assert kind in ("lambda", "mixed") or reader.counts() == {
        "studies": len(visible(sight, studies)),
        "series": len(seen_series),
        "instances": sum(len(one.below) for one in seen_series.values()),
    }
