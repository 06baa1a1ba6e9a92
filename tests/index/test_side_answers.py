"""Answers of studies that are kept: never those of another state, never changed by who got them (Q-44)."""

import pytest

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance
from tests.index.searching import search
from tests.index_files import migrated_file

MODALITIES, NUMBER_OF_SERIES = "00080061", "00201206"


@pytest.fixture
def engine(tmp_path):
    return make_engine(migrated_file(tmp_path / "index.sqlite"))


def put(engine, number, modalities=("CT",), **more):
    uid = f"1.{number}"
    for place, modality in enumerate(modalities, 1):
        series = {f"{uid}.{place}": {f"{uid}.{place}.1": instance(f"{uid}.{place}.1")}}
        made = document(uid, series, name=f"{uid}.{place}", series_tags={"Modality": modality}, **more)
        index_image_set(engine, made, version=1)


def rows(engine, query=()):
    return search(engine, parse_query("study", list(query))).rows


def test_what_a_caller_puts_into_an_answer_is_not_in_the_next(engine):
    put(engine, 1)
    (first,) = rows(engine)
    before = dict(first)
    first["00081190"] = {"vr": "UR", "Value": ["http://elsewhere"]}
    del first[MODALITIES]
    assert rows(engine) == [before]


def test_a_study_that_changes_is_answered_as_it_is(engine):
    put(engine, 1)
    assert rows(engine)[0][NUMBER_OF_SERIES]["Value"] == [1]
    put(engine, 1, ("CT", "SR"))
    (row,) = rows(engine)
    assert (row[NUMBER_OF_SERIES]["Value"], row[MODALITIES]["Value"]) == ([2], ["CT", "SR"])


@pytest.mark.parametrize("number", [1, 2, 11, 51])
def test_each_study_has_its_own_modalities_however_many_are_asked(engine, number):
    wanted = {f"1.{one}": "MR" if one % 3 else "CT" for one in range(1, number + 1)}
    for uid, modality in wanted.items():
        put(engine, int(uid[2:]), (modality,))
    found = {row["0020000D"]["Value"][0]: row[MODALITIES]["Value"] for row in rows(engine)}
    assert found == {uid: [modality] for uid, modality in wanted.items()}
