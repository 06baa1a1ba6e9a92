"""What only the AWS Lambda noted leaves the index when HealthImaging no longer has it (6.3, flaw 10)."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import create_engine, text

from dicomweb_gateway.errors import UpstreamNotFound, UpstreamTimeout
from dicomweb_gateway.imagesets.store import ImageSetProperties, ImageSetRef, ImageSetSummary
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.sync import Synchroniser
from tests.aws_index.indexer import put_image_set
from tests.index.documents import STORE, hex_id, instance, raw_document

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = "f" * 32


def raw(name, study, series, patient, store=STORE):
    made = {f"{series}.{n}": instance(f"{series}.{n}") for n in (1, 2)}
    return raw_document(study, {series: made}, name=name, patient={"PatientID": patient}, store=store)


SETS = {
    # name: study, series, patient
    "a": ("1.1", "1.1.1", "P1"),
    "b": ("1.1", "1.1.2", "P1"),
    "same series as b": ("1.1", "1.1.2", "P1"),
    "c": ("1.2", "1.2.1", "P1"),
    "d": ("1.3", "1.3.1", "P3"),
}


class Store:
    """HealthImaging; `hidden` image sets are given by their id and not listed, `troubled` ones time out."""

    def __init__(self):
        self.documents, self.hidden, self.troubled, self.deleted = {}, set(), set(), set()

    def search(self, datastore_id, updated_since=None):
        for key in self.documents.keys() - self.hidden:
            yield ImageSetSummary(datastore_id, key, 1, True, NOW, None, None)

    def image_set(self, ref):
        if ref.image_set_id in self.troubled:
            raise UpstreamTimeout("late")
        if ref.image_set_id not in self.documents:
            raise UpstreamNotFound("no such image set")
        state = "DELETED" if ref.image_set_id in self.deleted else "ACTIVE"
        return ImageSetProperties(replace(ref, version_id="1"), state, True, NOW)

    def metadata(self, ref, deadline=None):
        return orjson.dumps(self.documents[ref.image_set_id])

    def data_store_ids(self):
        return [STORE]


class House:
    def __init__(self, url):
        upgrade(url)
        self.administrator = create_engine(url)
        self.writer, self.store = IndexWriter(url), Store()
        self.sync = Synchroniser(self.writer, self.store)

    def put(self, *names, noted=True, store=STORE):
        for name in names:
            document = raw(name, *SETS[name], store=store)
            self.store.documents[hex_id(name)] = document
            if noted:
                with self.administrator.begin() as connection:
                    put_image_set(connection, document)

    def lose(self, *names):
        for name in names:
            del self.store.documents[hex_id(name)]

    def rows(self):
        """What the AWS tables hold: image sets by name, series, studies, patients, number of instances."""
        names = {hex_id(name): name for name in SETS}
        queries = {
            "sets": "SELECT imagesetid FROM imageset",
            "series": "SELECT seriesinstanceuid FROM series",
            "studies": "SELECT studyinstanceuid FROM study",
            "patients": "SELECT patientid FROM patient",
            "instances": "SELECT sopinstanceuid FROM instance",
        }
        with self.administrator.connect() as connection:
            found = {key: set(connection.execute(text(query)).scalars()) for key, query in queries.items()}
        return {**found, "sets": {names[one] for one in found["sets"]}}

    def numbers(self):
        """Those of series and instances that the one study's row names."""
        query = "SELECT numberofstudyrelatedseries, numberofstudyrelatedinstances FROM study"
        with self.administrator.connect() as connection:
            return tuple(connection.execute(text(query)).one())


def rows(*names):
    """`House.rows` where exactly these image sets are left."""
    chains = [SETS[name] for name in names]
    return {
        "sets": set(names),
        "series": {series for _, series, _ in chains},
        "studies": {study for study, _, _ in chains},
        "patients": {patient for _, _, patient in chains},
        "instances": {f"{series}.{n}" for _, series, _ in chains for n in (1, 2)},
    }


@pytest.fixture
def house(aws_url):
    made = House(aws_url)
    yield made
    made.writer.close()
    made.administrator.dispose()


def test_prune_takes_out_what_is_gone_with_all_that_is_empty_then(house):
    house.put("a", "b", "c", "d")
    house.lose("b", "d")
    assert house.sync.prune(STORE).removed == 2
    assert house.rows() == rows("a", "c")
    house.lose("c")
    house.sync.prune(STORE)
    assert house.rows() == rows("a")
    house.lose("a")
    house.sync.prune(STORE)
    assert house.rows() == rows()


def test_a_series_stays_as_long_as_one_of_its_image_sets(house):
    house.put("b", "same series as b")
    house.lose("b")
    house.sync.prune(STORE)
    # its instances name the image set that wrote them last
    assert house.rows() == rows("same series as b")
    house.lose("same series as b")
    house.sync.prune(STORE)
    assert house.rows() == rows()


def test_a_full_run_indexes_the_rest_and_takes_out_what_is_gone(house):
    house.put("a", "b", "c", "d")
    house.lose("b", "d")
    report = house.sync.data_store(STORE)
    assert (report.indexed, report.removed) == (2, 2)
    assert house.rows() == rows("a", "c")
    assert house.writer.counts() == {"studies": 2, "series": 2, "instances": 4}


def test_what_lies_beside_an_indexed_series_leaves_alone(house):
    """The numbers of the study follow, for those who read the AWS tables."""
    house.put("b")
    house.put("a", noted=False)
    house.sync.image_set(ImageSetRef(STORE, hex_id("a")))
    assert house.numbers() == (2, 4)
    house.lose("b")
    assert house.sync.prune(STORE).removed == 1
    assert house.rows() == rows("a")
    assert house.numbers() == (1, 2)


def test_a_run_since_some_time_takes_out_nothing(house):
    house.put("a", "d")
    house.lose("d")
    report = house.sync.data_store(STORE, since=NOW)
    assert (report.indexed, report.removed) == (1, 0)
    assert house.rows() == rows("a", "d")


@pytest.mark.parametrize("run", ["prune", "data_store"])
def test_what_is_given_by_its_id_stays(house, run):
    house.put("a", "d")
    house.store.hidden = {hex_id("d")}
    assert getattr(house.sync, run)(STORE).removed == 0
    assert house.rows() == rows("a", "d")


def test_what_healthimaging_calls_deleted_goes(house):
    house.put("a", "d")
    house.store.hidden = house.store.deleted = {hex_id("d")}
    assert house.sync.prune(STORE).removed == 1
    assert house.rows() == rows("a")


def test_what_cannot_be_asked_for_stays_and_is_tried_again(house):
    house.put("a", "d")
    house.lose("d")
    house.store.troubled = {hex_id("d")}
    report = house.sync.prune(STORE)
    assert (report.removed, list(report.failures)) == (0, [hex_id("d")])
    assert house.rows() == rows("a", "d")
    house.store.troubled = set()
    assert house.sync.retry().removed == 1
    assert house.rows() == rows("a")
    assert house.writer.failures() == []


def test_a_broken_list_takes_out_nothing(house):
    house.put("a")

    def search(datastore_id, updated_since=None):
        yield from ()
        raise UpstreamTimeout("late")

    house.store.search = search
    house.lose("a")
    for run in (house.sync.prune, house.sync.data_store):
        with pytest.raises(UpstreamTimeout):
            run(STORE)
    assert house.rows() == rows("a")


def test_other_data_stores_are_left_alone(house):
    house.put("a")
    house.put("d", store=OTHER)
    house.lose("a", "d")
    house.sync.prune(STORE)
    assert house.rows() == rows("d")
    house.sync.prune(OTHER)
    assert house.rows() == rows()


def test_more_than_a_portion_is_gone_through(house, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.index.known._PORTION", 2)
    house.put(*SETS)
    house.lose(*SETS)
    assert house.sync.prune(STORE).removed == len(SETS)
    assert house.rows() == rows()
