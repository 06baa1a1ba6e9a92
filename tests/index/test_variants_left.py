"""Image sets that leave a variant, drop a series or are hidden leave no trace in what others give and say."""

from datetime import datetime

import pytest

from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight
from tests.index.documents import document, hex_id, instance

CT = Sight((Grant(None, (("Modality", ("CT",)),)),))
NORTH = Sight((Grant(None, (("IssuerOfPatientID", ("north",)),)),))


class Sets:
    """Indexes image sets of one study, and again those that the indexer names."""

    def __init__(self, engine):
        self.engine = engine
        self._indexed = {}
        self._changes = 0

    def put(self, name, series, *, is_primary=False, issuer="north", **tags):
        """`series`: UIDs to numbers of instances."""
        made = {
            uid: {f"{uid}.{n}": instance(f"{uid}.{n}", InstanceNumber=str(n)) for n in numbers}
            for uid, numbers in series.items()
        }
        words = {"Modality": "CT", "OperatorsName": name, **tags}
        patient = {"PatientName": f"of {issuer}", "IssuerOfPatientID": issuer}
        one = document("1.2", made, name=name, patient=patient, series_tags=words)
        self._changes += 1
        self._indexed[one.image_set_id] = one, self._changes, is_primary
        self._again([one.image_set_id])

    def _again(self, names):
        for name in names:
            one, version, is_primary = self._indexed[name]
            moment = datetime(2024, 1, 1 + version)
            done = index_image_set(
                self.engine, one, version=version, is_primary=is_primary, updated_at=moment
            )
            self._again([ref.image_set_id for ref in done.reindex])

    def found(self, level, sight):
        query = parse_query(level, [("includefield", "all"), ("totalcount", "true")])
        return IndexSearch(self.engine).seen_by(sight)(query).rows

    def operators(self, sight):
        """By series UID."""
        rows = self.found("series", sight)
        return {row["0020000E"]["Value"][0]: row["00081070"]["Value"][0]["Alphabetic"] for row in rows}


@pytest.fixture
def sets(engine):
    return Sets(engine)


@pytest.mark.parametrize(("changed", "sight"), [({"Modality": "OT"}, CT), ({"issuer": "south"}, NORTH)])
@pytest.mark.parametrize("order", ["AB", "BA"])
def test_who_becomes_something_else_gives_back_what_it_had_taken(sets, order, changed, sight):
    for name in order:
        sets.put(name, {"1.2.1": (1, 2)}, is_primary=name == "A")
    sets.put("A", {"1.2.1": (1, 2)}, is_primary=True, **changed)
    assert len(sets.found("instance", sight)) == 2
    assert sets.operators(sight) == {"1.2.1": "B"}
    given = IndexReader(sets.engine).seen_by(sight).series_instances("1.2", "1.2.1")
    assert {one.image_set.image_set_id for one in given} == {hex_id("B")}
    assert len(sets.found("instance", EVERYTHING)) == 2
    assert sets.operators(EVERYTHING) == {"1.2.1": "A"}


def test_a_series_is_described_by_an_image_set_that_still_holds_it(sets):
    sets.put("B", {"1.2.1": (1, 2), "1.2.2": (1,)})
    sets.put("A", {"1.2.1": (1, 2), "1.2.2": (1,)}, is_primary=True)
    assert sets.operators(EVERYTHING) == {"1.2.1": "A", "1.2.2": "A"}
    sets.put("A", {"1.2.2": (1,)}, is_primary=True)
    assert sets.operators(EVERYTHING) == {"1.2.1": "B", "1.2.2": "A"}


def test_a_series_is_judged_by_an_image_set_that_still_is_of_its_variant(sets):
    """What the best one said of it stays in the row until another writes it."""
    sets.put("B", {"1.2.1": (1, 2)})
    sets.put("A", {"1.2.1": (1, 2)}, is_primary=True)
    sets.put("A", {"1.2.1": (1, 2)}, is_primary=True, issuer="south")
    sets.put("B", {"1.2.1": (1, 2)}, Modality="OT")
    assert [one["00100021"]["Value"] for one in sets.found("study", CT)] == [["south"]]
    assert sets.found("instance", CT.narrowed(NORTH)) == []


@pytest.mark.parametrize("order", ["hbc", "chb"])
def test_the_variant_of_a_study_is_that_of_the_best_image_set_that_is_shown(sets, order):
    puts = {
        "h": lambda: sets.put("h", {"1.2.1": (1,)}, is_primary=True, Modality="OT"),
        "b": lambda: sets.put("b", {"1.2.2": (1,)}),
        "c": lambda: sets.put("c", {"1.2.3": (1,)}, issuer="south", is_primary=True),
    }
    for name in order:
        puts[name]()
    sets.put("h", {"1.2.1": (1,)}, is_primary=True, Modality="OT")
    (row,) = sets.found("study", CT)
    assert row["00100021"]["Value"] == ["south"]
    (row,) = sets.found("study", EVERYTHING)
    assert row["00100021"]["Value"] == ["north"]


def test_the_first_series_with_images_is_that_of_the_best_image_set(sets):
    """Both say of the first series what kind it is; a picture goes before other kinds."""
    sets.put("a", {"1.2.1": (1,)}, is_primary=True, Modality="SR")
    sets.put("b", {"1.2.1": (1,)})
    sets.put("c", {"1.2.2": (1,)}, Modality="MR")
    assert IndexReader(sets.engine).first_series_with_images("1.2") == "1.2.2"
