"""Searches of some data stores: as if the index held nothing of the others (AHI_DATASTORE_IDS).

Who has indexed what makes no difference: of what the Lambda alone wrote documents tell.
"""

import orjson
import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import search_plan, unknown_rows
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING
from tests.aws_index.conftest import ImageSets
from tests.aws_index.indexer import put_image_set
from tests.databases import drop_database, new_aws_database
from tests.index.documents import instance, raw_document

A, B = "a" * 32, "b" * 32

SETS = [
    # data store, study, series, modality, instances
    (A, "1.1", "1.1.1", "CT", (1, 2)),
    (B, "1.1", "1.1.2", "MR", (1,)),
    (B, "1.2", "1.2.1", "US", (1, 2)),
    (A, "1.3", "1.3.1", "CT", (1,)),
    (A, "1.4", "1.4.1", "MR", (1,)),
    (B, "1.4", "1.4.1", "MR", (2, 3)),
    (A, "1.5", "1.5.1", None, (1,)),
    (B, "1.5", "1.5.2", "SR", (1,)),
]


def raw(number):
    store, study, series, modality, numbers = SETS[number]
    made = {f"{series}.{n}": instance(f"{series}.{n}", InstanceNumber=str(n)) for n in numbers}
    patient = {"PatientID": f"P{study}", "PatientName": f"Name{study}^A"}
    tags = {"Modality": modality, "SeriesNumber": series[-1]}
    return raw_document(
        study, {series: made}, name=str(number), store=store, patient=patient, series_tags=tags
    )


def ours(engine, *numbers):
    for number in numbers:
        index_image_set(engine, parse_document(orjson.dumps(raw(number))), version=1)


def theirs(engine, *numbers):
    for number in numbers:
        with engine.begin() as connection:
            put_image_set(connection, raw(number))


def numbers_of(store):
    return [number for number, row in enumerate(SETS) if row[0] == store]


KINDS = {
    # who writes which image sets, in this order
    "sqlite": [(ours, range(len(SETS)))],
    "ours": [(ours, range(len(SETS)))],
    "theirs": [(theirs, range(len(SETS)))],
    "allowed ours": [(ours, numbers_of(A)), (theirs, numbers_of(B))],
    "others ours": [(theirs, numbers_of(A)), (ours, numbers_of(B))],
    "half and half": [(ours, (0, 2, 5, 7)), (theirs, (1, 3, 4, 6))],
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Searches of an index that never saw another data store than A."""
    url = f"sqlite:///{tmp_path_factory.mktemp('alone')}/index.db"
    upgrade(url)
    engine = make_engine(url)
    ours(engine, *numbers_of(A))
    yield IndexSearch(engine)
    engine.dispose()


@pytest.fixture(scope="module")
def engine(kind, request, tmp_path_factory):
    name = None
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('stores')}/index.db"
    else:
        server = request.getfixturevalue("mariadb_server")
        name, url = new_aws_database(server)
    upgrade(url)
    made = make_engine(url)
    for write, numbers in KINDS[kind]:
        write(made, *numbers)
    yield made
    made.dispose()
    if name:
        drop_database(server, name)


@pytest.fixture(scope="module")
def search(engine):
    """Searches of data store A in it."""
    image_sets = ImageSets(engine)
    for number in range(len(SETS)):
        image_sets.put(raw(number), indexed=False)
    return IndexSearch(engine, source=image_sets).seen_by(EVERYTHING.within(frozenset({A})))


SCOPES = [{}, {"study_uid": "1.1"}, {"study_uid": "1.2"}, {"study_uid": "1.4", "series_uid": "1.4.1"}]
SEARCHES = [
    *(
        ("study", text, {})
        for text in ("", "StudyInstanceUID=1.1,1.2", "PatientName=name*", "PatientID=P1.2")
    ),
    *(("study", f"ModalitiesInStudy={one}", {}) for one in ("MR", "CT", "US", "SR,MR", "*R", "C*,U*")),
    ("study", 'ModalitiesInStudy=""&emptyvaluematching=true', {}),
    ("study", 'ModalitiesInStudy=""&ModalitiesInStudy=CT&emptyvaluematching=true', {}),
    ("study", "PatientName=nam&fuzzymatching=true&ModalitiesInStudy=MR", {}),
    *(("study", f"NumberOfStudyRelatedInstances={number}", {}) for number in (1, 2, 3)),
    ("study", "NumberOfStudyRelatedSeries=1&orderby=-NumberOfStudyRelatedInstances", {}),
    ("study", "limit=2&offset=1&orderby=PatientID", {}),
    *(
        ("series", text, {})
        for text in ("", "Modality=MR", "SeriesInstanceUID=1.1.2", "ModalitiesInStudy=MR")
    ),
    ("series", "NumberOfSeriesRelatedInstances=1", {}),
    ("series", "limit=2&offset=1", {}),
    *(("instance", text, {}) for text in ("", "InstanceNumber=2", "SOPInstanceUID=1.1.1.1,1.1.2.1,1.4.1.2")),
    ("instance", "ModalitiesInStudy=MR", {}),
    ("instance", "limit=2&offset=1", {}),
    *(("series", "", scope) for scope in SCOPES[1:3]),
    *(("instance", "", scope) for scope in SCOPES[1:]),
]
SHOWN = ("0020000D", "0020000E", "00080018", "00080061", "00201206", "00201208", "00201209")


def parsed(level, text, scope):
    pairs = [tuple(pair.split("=", 1)) for pair in text.split("&") if pair]
    return parse_query(level, [*pairs, ("totalcount", "true")], **scope)


def shown(result):
    return [{key: row[key] for key in SHOWN if key in row} for row in result.rows]


@pytest.mark.parametrize(("level", "text", "scope"), SEARCHES)
def test_other_data_stores_are_as_if_they_were_not_there(search, alone, level, text, scope, monkeypatch):
    query = parsed(level, text, scope)
    for few in (2000, 1):
        monkeypatch.setattr(unknown_rows, "FEW", few)
        monkeypatch.setattr(search_plan, "LISTED", few)
        wanted, found = alone(query), search(query)
        assert shown(found) == shown(wanted), few
        assert found.total == wanted.total, few


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_all_are_shown_unless_some_are_named(engine, level):
    query = parsed(level, "", {})
    assert shown(IndexSearch(engine)(query)) == shown(
        IndexSearch(engine, EVERYTHING.within(frozenset({A, B})))(query)
    )
    assert IndexSearch(engine)(query).total == {"study": 5, "series": 7, "instance": 11}[level]


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_without_any_allowed_data_store_nothing_is_shown(engine, level):
    assert IndexSearch(engine, EVERYTHING.within(frozenset({"e" * 32})))(parsed(level, "", {})).rows == []
