"""What a caller may see, after image sets changed and went, against an index that never knew the rest.

Image sets are of one series each, as HealthImaging makes them: where several are shared and one of them is
contradicted, the others are described apart too. PROPERTY_CASES sets the number of histories (default 6).
"""

import os
import random
from datetime import datetime, timedelta

import orjson
import pytest

from dicomweb_gateway.errors import ResourceNotFound
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.engine import memory_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.tables import metadata
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import Grant, Sight
from tests.index.documents import hex_id, instance, raw_document

CASES = int(os.environ.get("PROPERTY_CASES", "6"))
STUDY = "1.2"
SERIES = ("1.2.1", "1.2.2")
STORES = ("a" * 32, "b" * 32)
SETS = {"first": STORES[0], "second": STORES[0], "third": STORES[0], "fourth": STORES[1]}
CT, NORTH = ("Modality", ("CT",)), ("IssuerOfPatientID", ("north",))
SIGHTS = [
    Sight((Grant(None, (CT,)),)),
    Sight((Grant(None, (NORTH,)),)),
    Sight((Grant(frozenset(STORES[:1]), (NORTH, CT)),)),
    Sight((Grant(frozenset(STORES[1:])), Grant(None, (CT,)))),
]


def changes(chance):
    """Names of image sets and their new versions in the order in which they come, None for one that goes."""
    for number in range(1, 8):
        name = chance.choice(list(SETS))
        if chance.random() < 0.15:
            yield name, None
            continue
        series = {
            uid: {
                f"{uid}.{n}": instance(f"{uid}.{n}", InstanceNumber=str(n))
                for n in chance.choice([(1,), (2,), (1, 2)])
            }
            for uid in chance.choice([SERIES[:1], SERIES[:1], SERIES[1:]])
        }
        issuer = chance.choice(["north", "north", "south"])
        raw = raw_document(
            STUDY,
            series,
            name=name,
            store=SETS[name],
            patient={"PatientName": f"Of^{issuer}", "IssuerOfPatientID": issuer},
        )
        for one in raw["Study"]["Series"].values():
            said = {"Modality": chance.choice(["CT", "CT", "OT"]), "OperatorsName": f"{name} {number}"}
            one["DICOM"].update(said, SeriesNumber=str(number))
        moment = datetime(2024, 1, 1) + timedelta(days=chance.randrange(9), seconds=number)
        yield name, (raw, number, chance.random() < 0.3, moment)


class Index:
    """An index in memory, whose image sets are indexed again when the indexer says so."""

    def __init__(self):
        self.engine = memory_engine()
        metadata.create_all(self.engine)
        self.held = {}

    def put(self, name, version):
        self.held[name] = version
        raw, number, is_primary, moment = version
        done = index_image_set(
            self.engine,
            parse_document(orjson.dumps(raw)),
            version=number,
            is_primary=is_primary,
            updated_at=moment,
        )
        self._again(done.reindex)

    def remove(self, name):
        if self.held.pop(name, None) is not None:
            self._again(remove_image_set(self.engine, SETS[name], hex_id(name)))

    def _again(self, refs):
        names = {hex_id(name): name for name in self.held}
        for ref in refs:
            self.put(names[ref.image_set_id], self.held[names[ref.image_set_id]])

    def told(self, sight):
        """All that searches and look-ups tell of the study."""
        search, reader = IndexSearch(self.engine).seen_by(sight), IndexReader(self.engine, 0).seen_by(sight)
        every = [("includefield", "all"), ("totalcount", "true")]
        told = {level: search(parse_query(level, every)) for level in ("study", "series", "instance")}
        for number in ("1", "2"):
            key = ("NumberOfSeriesRelatedInstances", number)
            told[key] = search(parse_query("series", [key]))
        told["counts"] = reader.counts()
        for ask in (reader.study_instances, reader.outlines, reader.image_sets, reader.last_change):
            try:
                found = ask(STUDY)
                told[ask.__name__] = list(found) if hasattr(found, "__iter__") else found
            except ResourceNotFound:
                told[ask.__name__] = None
        return told


def shown(version, sight):
    """What `sight` shows of a version, None for nothing; by plain values, without the index."""
    raw, *rest = version
    issuer = raw["Patient"]["DICOM"]["IssuerOfPatientID"]
    series = {
        uid: one
        for uid, one in raw["Study"]["Series"].items()
        if any(
            (grant.stores is None or raw["DatastoreID"] in grant.stores)
            and all(
                ({"Modality": one["DICOM"]["Modality"], "IssuerOfPatientID": issuer}[key],) == values
                for key, values in grant.wanted
            )
            for grant in sight.grants
        )
    }
    return ({**raw, "Study": {**raw["Study"], "Series": series}}, *rest) if series else None


@pytest.mark.parametrize("seed", range(CASES))
def test_what_is_hidden_and_what_was_leaves_no_trace(seed):
    chance = random.Random(seed)
    full = Index()
    for name, version in changes(chance):
        if version is None:
            full.remove(name)
        else:
            full.put(name, version)
    for sight in chance.sample(SIGHTS, 2):
        bare = Index()
        for name in chance.sample(list(full.held), len(full.held)):
            version = shown(full.held[name], sight)
            if version is not None:
                bare.put(name, version)
        assert full.told(sight) == bare.told(sight)
        bare.engine.dispose()
    full.engine.dispose()
