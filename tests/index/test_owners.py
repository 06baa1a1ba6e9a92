"""Whose UIDs already are, and how processes learn that the index has changed."""

import multiprocessing
from datetime import date

import orjson

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.changes import IndexChanges
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.owners import Held, IndexOwners, grouping_of
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from tests.aws_index.conftest import raw, slices
from tests.aws_index.indexer import put_image_set
from tests.index.documents import STORE, hex_id, simple


def note(path):
    IndexChanges(path).note()


def test_a_change_is_seen_by_every_process(tmp_path):
    path = tmp_path / "below" / "changes"
    changes = IndexChanges(path)
    before = changes.number
    process = multiprocessing.get_context("spawn").Process(target=note, args=(path,))
    process.start()
    process.join()
    assert changes.number == before + 1
    changes.note()
    assert IndexChanges(path).number == before + 2


def put(engine, document):
    index_image_set(engine, document, version=1, is_primary=True)


def test_uids_are_known_by_data_store(engine):
    put(engine, simple("1.2.1", "one", 2, patient={"PatientID": "P-1", "IssuerOfPatientID": "H"}))
    owners = IndexOwners(engine)
    held = Held("1.2.1.1", (date(2024, 1, 1), None, None, None))
    instances = {"1.2.1.1.1": {held}, "1.2.1.1.2": {held}}
    assert owners.patients(STORE, ["1.2.1", "1.2.2"]) == {"1.2.1": {("P-1", "H")}}
    assert owners.studies(STORE, ["1.2.1.1", "1.9"]) == {"1.2.1.1": {"1.2.1"}}
    assert owners.held(STORE, [*instances, "1.9"]) == instances
    assert owners.missing(STORE, [*instances, "1.9"]) == {"1.9"}
    for lookup in (owners.patients, owners.studies, owners.held):
        assert lookup("f" * 32, ["1.2.1", "1.2.1.1", *instances]) == {}


def test_studies_that_the_lambda_knows_more_of_are_named(aws_url):
    upgrade(aws_url)
    engine = make_engine(aws_url)
    owners = IndexOwners(engine)
    for name, indexers in (("1.2", "both"), ("1.3", "lambda"), ("1.4", "ours"), ("1.5", "both")):
        document = raw(name, f"first of {name}", slices(f"{name}.1", 1))
        if indexers != "lambda":
            put(engine, parse_document(orjson.dumps(document)))
        if indexers != "ours":
            with engine.begin() as connection:
                put_image_set(connection, document)
    with engine.begin() as connection:
        put_image_set(connection, raw("1.5", "second", slices("1.5.2", 1), "1.5.2"))
    studies = ["1.2", "1.3", "1.4", "1.5", "1.6"]
    assert owners.unread(STORE, studies) == {"1.3", "1.5"}
    assert owners.unread(STORE, ["1.2", "1.4"]) == owners.unread("f" * 32, studies) == set()
    engine.dispose()


def test_who_may_not_see_a_thing_is_not_told_of_it(engine):
    put(engine, simple("1.2.1", "north", 1, patient={"PatientID": "P-1", "IssuerOfPatientID": "N"}))
    put(engine, simple("1.2.1", "south", 1, patient={"PatientID": "P-2", "IssuerOfPatientID": "S"}))
    owners = IndexOwners(engine)
    north = Sight((Grant(None, (("IssuerOfPatientID", ("N",)),)),))
    path = ("1.2.1", "1.2.1.1", "1.2.1.1.1")
    assert owners.patients(STORE, ["1.2.1"], north) == {"1.2.1": {("P-1", "N")}}
    assert owners.patients(STORE, ["1.2.1"]) == {"1.2.1": {("P-1", "N"), ("P-2", "S")}}
    assert owners.hidden(STORE, ["1.2.1.1"], north) == {("1.2.1", "1.2.1.1", "P-2")}
    assert owners.hidden(STORE, ["1.2.1.1"], EVERYTHING) == set()
    assert owners.hidden(STORE, ["1.2.1.1"], NOTHING) == {("1.2.1", "1.2.1.1", f"P-{n}") for n in (1, 2)}
    assert owners.given(STORE, [path], north) == {path: (hex_id("north"), 1)}
    best = max(hex_id("north"), hex_id("south"))
    assert owners.given(STORE, [path]) == {path: (best, 1)}
    assert owners.given(STORE, [path], NOTHING) == owners.held(STORE, [path[2]], NOTHING) == {}
    assert owners.studies(STORE, ["1.2.1.1"], NOTHING) == owners.patients(STORE, ["1.2.1"], NOTHING) == {}
    assert owners.versions(STORE, ["1.2.1"]) == {path[:2]: {hex_id("north"): 1, hex_id("south"): 1}}


def test_what_is_grouped_by_is_told_as_the_index_holds_it(engine):
    words = {"AccessionNumber": " A-1 ", "StudyID": "7"}
    put(engine, simple("1.2.1", "one", 1, study=words, series_tags={"SeriesNumber": "3 "}))
    [held] = IndexOwners(engine).held(STORE, ["1.2.1.1.1"])["1.2.1.1.1"]
    sent = {"StudyDate": "20240101", "AccessionNumber": "A-1", "StudyID": "7", "SeriesNumber": "3"}
    assert held.grouping == grouping_of(sent)
    assert all(held.grouping != grouping_of({**sent, name: "19990101"}) for name in sent)


def test_what_is_gone_belongs_to_nobody(engine):
    found = simple("1.2.1", "one")
    put(engine, found)
    remove_image_set(engine, found.datastore_id, found.image_set_id)
    assert IndexOwners(engine).patients(STORE, ["1.2.1"]) == {}
    assert IndexOwners(engine).held(STORE, ["1.2.1.1.1"]) == {}


def test_readers_forget_when_the_index_has_changed(engine, tmp_path):
    put(engine, simple("1.2.1", "one"))
    changes = IndexChanges(tmp_path / "changes")
    reader = IndexReader(engine, 3600, changes=changes)
    before = reader.image_sets("1.2.1")
    index_image_set(engine, simple("1.2.1", "one", 2), version=2, is_primary=True)
    assert reader.image_sets("1.2.1") == before
    changes.note()
    assert [one.version_id for one in reader.image_sets("1.2.1")] == ["2"]


def test_what_was_read_before_a_change_is_not_kept_after_it():
    hot = HotMap(3600, 10, lambda _: 1)

    def load():
        hot.clear()
        return "old"

    assert hot.get("key", load) == "old"
    assert hot.get("key", lambda: "new") == "new"
    epoch = hot.epoch
    hot.clear()
    hot.keep("key", "old", epoch)
    hot.add({"key": "old"}, epoch)
    assert hot.peek("key") is None
