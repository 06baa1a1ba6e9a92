"""One study of one patient in two data stores: what describes it in one is hidden from who sees the other."""

from datetime import datetime

import orjson
import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight
from tests.index.documents import instance, raw_document

A, B = "a" * 32, "b" * 32
SECRETS = ("SECRET study", "SECRET series", "SECRET comment")


def put(engine, store, number, series_uid, words, day, modality="CT"):
    uid = f"{series_uid}.{number}"
    blob = raw_document(
        "1.2",
        {series_uid: {uid: instance(uid, InstanceNumber=str(number))}},
        name=f"{store}{series_uid}",
        store=store,
        patient={"PatientID": "P1", "PatientName": "A^B", "PatientComments": words[2]},
        series_tags={"Modality": modality, "SeriesDescription": words[1]},
    )
    blob["Study"]["DICOM"]["StudyDescription"] = words[0]
    index_image_set(
        engine,
        parse_document(orjson.dumps(blob)),
        version=1,
        is_primary=True,
        updated_at=datetime(2024, 1, day),
    )


@pytest.fixture(scope="module", params=["secret last", "secret first"])
def engine(request, tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/index.db"
    upgrade(url)
    made = make_engine(url)
    writes = [
        lambda: put(made, A, 1, "1.2.1", ("study", "series", "comment"), 1),
        # newer, so that it speaks for the study and the series
        lambda: put(made, B, 2, "1.2.1", SECRETS, 2),
    ]
    for write in writes if request.param == "secret last" else reversed(writes):
        write()
    put(made, B, 1, "1.2.2", SECRETS, 3)
    yield made
    made.dispose()


def found(engine, level, *pairs, stores=None, modality=None):
    sight = EVERYTHING.within(stores and frozenset(stores))
    if modality is not None:
        sight = Sight((Grant(None, (("Modality", (modality,)),)),))
    search = IndexSearch(engine).seen_by(sight)
    return search(parse_query(level, [("includefield", "all"), ("totalcount", "true"), *pairs]))


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_nothing_of_the_other_data_store_is_told(engine, level):
    result = found(engine, level, stores=[A])
    assert result.total == len(result.rows) == 1
    assert b"SECRET" not in orjson.dumps(result.rows)
    assert b'"study"' in orjson.dumps(result.rows)
    assert found(engine, level, ("StudyDescription", "SECRET*"), stores=[A]).rows == []
    assert found(engine, level, ("PatientComments", "SECRET*"), stores=[A]).rows == []
    if level != "study":
        assert found(engine, level, ("SeriesDescription", "SECRET*"), stores=[A]).rows == []


@pytest.mark.parametrize(("level", "number"), [("study", 1), ("series", 2), ("instance", 3)])
def test_who_sees_both_sees_one_study(engine, level, number):
    for stores in (None, [A, B]):
        result = found(engine, level, stores=stores)
        assert result.total == len(result.rows) == number
    (study,) = found(engine, "study").rows
    assert study["00081030"]["Value"] == ["SECRET study"]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [3])
    reader = IndexReader(engine, 0)
    assert reader.study_series("1.2") == ["1.2.1", "1.2.2"]
    assert [one.instance_uid for one in reader.series_instances("1.2", "1.2.1")] == ["1.2.1.1", "1.2.1.2"]


@pytest.fixture(scope="module", params=[(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def one_store(request, tmp_path_factory):
    """One patient and data store; the image set of each series describes the study in words of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('one-store')}/index.db"
    upgrade(url)
    made = make_engine(url)
    words = {day: (f"study {day}", f"series {day}", f"comment {day}") for day in (1, 2, 3)}
    for day in request.param:
        put(made, A, day, f"1.2.{day}", words[day], day, {1: "CT", 2: "CT", 3: "MR"}[day])
    yield made
    made.dispose()


def test_a_study_is_told_of_in_the_words_of_what_is_seen(one_store):
    """Of the best image set among those that are shown, as if there were no others."""
    for modality, day, series in (("CT", 2, 2), ("MR", 3, 1), (None, 3, 3)):
        (study,) = found(one_store, "study", modality=modality).rows
        assert study["00081030"]["Value"] == [f"study {day}"]
        assert study["00201206"]["Value"] == [series]
        for level, number in (("series", series), ("instance", series)):
            rows = found(one_store, level, modality=modality).rows
            assert len(rows) == number
            seen = {1, 2, 3} if modality is None else {"CT": {1, 2}, "MR": {3}}[modality]
            told = orjson.dumps(rows)
            assert {n for n in (1, 2, 3) if f"comment {n}".encode() in told} <= seen
        assert found(one_store, "study", ("StudyDescription", f"study {day}"), modality=modality).total == 1
    assert found(one_store, "study", ("StudyDescription", "study 3"), modality="CT").rows == []
    assert found(one_store, "study", ("PatientComments", "comment 3"), modality="CT").rows == []
