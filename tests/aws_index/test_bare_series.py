"""Searching an AWS index without instance rows (flaw 7), held against our own index of the same data."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge, UpstreamTimeout
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import bare_series
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.sight import EVERYTHING
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig
from tests.aws_index.conftest import filled_place, raw, slices
from tests.aws_index.test_index_search import parsed
from tests.index.documents import STORE, hex_id

OTHER = "f" * 32
PATIENT = {"PatientID": "A1", "PatientName": "Müller^Hans", "PatientSex": "M "}
STUDY = {"AccessionNumber": "X1", "StudyTime": "101500", "ReferringPhysicianName": "Weiß^Ida"}


def made(name, series, numbers, tags, **image):
    return raw(
        "1.2", name, slices(series, *numbers, **image), series, patient=PATIENT, study=STUDY, series=tags
    )


DOCUMENTS = [
    made("a", "1.2.1", (2, 10, 4), {"SeriesNumber": "7 "}, SliceThickness="1.5", ContentDate="20240102"),
    made("b", "1.2.2", (1, 4), {"Modality": "MR", "SeriesNumber": "10"}, SliceThickness="3"),
    made("c", "1.2.3", (3, 5), {"Modality": "MR", "SeriesNumber": None}, ImageType=["ORIGINAL", "PRIMARY"]),
    raw("1.3", "d", slices("1.3.1", 1)),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexSearch]:
    url = f"sqlite:///{tmp_path_factory.mktemp('ours')}/index.db"
    upgrade(url)
    engine = make_engine(url)
    for document in DOCUMENTS:
        index_image_set(engine, parse_document(orjson.dumps(document)), version=1)
    yield IndexSearch(engine)
    engine.dispose()


def searching(engine: Engine, image_sets, **more) -> IndexSearch:
    return IndexSearch(engine, trust_seconds=0, source=image_sets, latest_seconds=0, **more)


@pytest.fixture
def bare(proxy_engine, image_sets) -> IndexSearch:
    """No series has instance rows."""
    for document in DOCUMENTS:
        image_sets.put(document, instance_level=False)
    return searching(proxy_engine, image_sets)


@pytest.fixture
def mixed(proxy_engine, image_sets) -> IndexSearch:
    """The series 1.2.2 has its rows, and no other has."""
    for document in DOCUMENTS:
        image_sets.put(document, instance_level=is_b(document))
    return searching(proxy_engine, image_sets)


def is_b(document) -> bool:
    return bool(document["ImageSetID"] == hex_id("b"))


@pytest.fixture(scope="module")
def bare_place(mariadb_server):
    with filled_place(mariadb_server, DOCUMENTS, lambda _: False) as place:
        yield place


@pytest.fixture(scope="module")
def mixed_place(mariadb_server):
    with filled_place(mariadb_server, DOCUMENTS, is_b) as place:
        yield place


@pytest.fixture
def read_bare(bare_place) -> IndexSearch:
    """As `bare`, for tests that change nothing; it has learned nothing yet."""
    return searching(*bare_place)


@pytest.fixture
def read_mixed(mixed_place) -> IndexSearch:
    """As `mixed`, likewise."""
    return searching(*mixed_place)


def uids(result):
    return [row["00080018"]["Value"][0] for row in result.rows]


QUERIES = [
    "",
    "InstanceNumber=4",
    "SOPInstanceUID=1.2.1.10,1.2.2.1",
    "SeriesInstanceUID=1.2.2,1.2.3",
    "Modality=MR",
    "ModalitiesInStudy=MR,US",
    "ModalitiesInStudy=US",
    "PatientName=m*",
    "PatientID=A1&Rows=8",
    "PatientID=B1",
    "ReferringPhysicianName=weiß^ida",
    "PatientName=hans mül&fuzzymatching=true",
    "StudyTime=10-11",
    "ContentDate=20240101-",
    'ContentDate=""&emptyvaluematching=true',
    "NumberOfStudyRelatedSeries=3",
    "limit=3&offset=2",
    "limit=0&totalcount=true",
    "offset=100&totalcount=true",
    "orderby=-InstanceNumber",
    "orderby=-Modality,InstanceNumber",
    "orderby=SeriesNumber,-SOPInstanceUID",
    "orderby=-PatientName,StudyTime,PatientBirthDate,ContentDate",
    "orderby=-SeriesDescription,ContentDate,NumberOfStudyRelatedSeries,SOPClassUID",
]
WITHOUT_COLUMN = [
    "SliceThickness=1.50",
    "includefield=SliceThickness",
    "includefield=all&InstanceNumber=4",
    "SeriesDate=20240101",
    "AcquisitionDateTime=2024",
    "orderby=-SeriesTime",
    "RequestAttributesSequence.RequestedProcedureID=1",
    'PatientWeight=""&emptyvaluematching=true',
]


@pytest.mark.parametrize("text", [*QUERIES, *WITHOUT_COLUMN])
def test_without_any_rows_the_answers_are_the_same(ours, read_bare, text):
    query = parsed("instance", text, study_uid="1.2")
    assert read_bare(query) == ours(query)


@pytest.mark.parametrize("text", QUERIES)
def test_what_is_in_rows_and_what_is_not_comes_in_one_order(ours, read_mixed, text):
    query = parsed("instance", text, study_uid="1.2")
    assert read_mixed(query) == ours(query)


@pytest.mark.parametrize("scope", [{"study_uid": "1.2", "series_uid": "1.2.1"}, {"study_uid": "1.9"}])
def test_below_a_series_and_an_unknown_study(ours, read_mixed, scope):
    query = parsed("instance", "", **scope)
    assert read_mixed(query) == ours(query)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_pages_follow_each_other(ours, read_mixed, number):
    everything = ours(parsed("instance", "", study_uid="1.2")).rows
    pages = [
        read_mixed(parsed("instance", f"limit={number}&offset={offset}", study_uid="1.2"))
        for offset in range(0, 9, number)
    ]
    assert [row for page in pages for row in page.rows] == everything
    assert all(page.total in (None, 7) for page in pages)
    capped = read_mixed(replace(parsed("instance", "", study_uid="1.2"), max_results=number))
    assert (capped.total, capped.remaining) == (7, 7 - number)
    with pytest.raises(PayloadTooLarge):
        read_mixed(replace(parsed("instance", "", study_uid="1.2"), hard_max_results=6))


@pytest.mark.parametrize("text", ["StudyInstanceUID=1.2", "SeriesInstanceUID=1.2.1,1.2.2", "Modality=MR", ""])
def test_a_search_of_no_path_shows_the_study_too(ours, read_mixed, text):
    """Numbers of instances of a whole study are unknown, that of a series is not."""
    query = parsed("instance", text)
    expected = ours(query)
    for row in expected.rows:
        row["00201208"] = {"vr": "IS"}
    assert read_mixed(query) == expected


@pytest.mark.parametrize("text", ["SliceThickness=1.50", "SeriesDate=20240101", "orderby=SeriesTime"])
def test_keys_that_rows_do_not_hold_are_refused_where_there_are_rows(read_mixed, text):
    with pytest.raises(InvalidRequest):
        read_mixed(parsed("instance", text, study_uid="1.2"))
    read_mixed(parsed("instance", text, study_uid="1.2", series_uid="1.2.1"))
    read_mixed(parsed("instance", f"{text}&SeriesInstanceUID=1.2.1,1.2.3", study_uid="1.2"))
    with pytest.raises(InvalidRequest):
        read_mixed(parsed("instance", text, study_uid="1.9"))


def test_too_many_for_a_search_that_names_no_study(bare, image_sets, monkeypatch):
    monkeypatch.setattr(bare_series, "MOST_UNNAMED", 2)
    unscoped = parsed("instance", "InstanceNumber=4")
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="StudyInstanceUID"):
            bare(unscoped)
    assert uids(bare(parsed("instance", "StudyInstanceUID=1.2&InstanceNumber=4"))) == ["1.2.1.4", "1.2.2.4"]
    for document in DOCUMENTS[1:3]:
        image_sets.put(document)
    assert uids(bare(unscoped)) == ["1.2.1.4", "1.2.2.4"]
    image_sets.put(raw("1.5", "late", slices("1.5.1", 4)), instance_level=False)
    with pytest.raises(InvalidRequest):
        bare(unscoped)
    monkeypatch.setattr(bare_series, "MOST_NAMED", 1)
    with pytest.raises(PayloadTooLarge):
        bare(parsed("instance", "StudyInstanceUID=1.3,1.5"))


def test_the_numbers_of_instances(ours, read_mixed):
    """Counted below a study, unknown in lists, and no number equals what is unknown."""
    for text in ("", "Modality=MR", "limit=1"):
        query = parsed("series", text, study_uid="1.2")
        found, expected = read_mixed(query), ours(query)
        assert [row["00201209"] for row in found.rows] == [row["00201209"] for row in expected.rows]
    assert [row["00201208"] for row in read_mixed(parsed("study", "")).rows] == [{"vr": "IS"}, {"vr": "IS"}]
    numbers = [row["00201209"].get("Value") for row in read_mixed(parsed("series", "PatientID=A1")).rows]
    assert numbers == [None, [2], None]
    for number in (0, 2):
        assert read_mixed(parsed("study", f"NumberOfStudyRelatedInstances={number}")).rows == []
    both = "NumberOfSeriesRelatedInstances=0&NumberOfSeriesRelatedInstances=2"
    assert [row["0020000E"]["Value"] for row in read_mixed(parsed("series", both)).rows] == [["1.2.2"]]
    assert (
        len(read_mixed(parsed("study", 'NumberOfStudyRelatedInstances=""&emptyvaluematching=true')).rows) == 2
    )
    assert read_mixed(parsed("instance", "NumberOfSeriesRelatedInstances=0", study_uid="1.2")).rows == []


def test_what_is_gone_is_left_out_and_what_fails_is_told(mixed, image_sets, monkeypatch):
    image_sets.delete("a")
    in_study, series = parsed("instance", "", study_uid="1.2"), parsed("series", "", study_uid="1.2")
    assert uids(mixed(in_study)) == ["1.2.2.1", "1.2.3.3", "1.2.2.4", "1.2.3.5"]
    assert [row["00201209"]["Value"] for row in mixed(series).rows] == [[0], [2], [2]]

    def fail(_ref):
        raise UpstreamTimeout("no answer")

    monkeypatch.setattr(image_sets, "document", fail)
    for query in (in_study, series):
        with pytest.raises(UpstreamTimeout):
            mixed(query)
    assert len(mixed(parsed("instance", "", study_uid="1.2", series_uid="1.2.2")).rows) == 2
    assert len(mixed(parsed("study", "")).rows) == 2


def test_rows_that_are_written_meanwhile_are_not_listed_twice(ours, mixed, image_sets, monkeypatch):
    read = image_sets.document

    def document(ref):
        for one in DOCUMENTS[:1]:
            image_sets.put(one)
        return read(ref)

    monkeypatch.setattr(image_sets, "document", document)
    query = parsed("instance", "", study_uid="1.2")
    assert mixed(query) == ours(query)


def test_over_http(mixed, proxy_engine, image_sets, monkeypatch):
    config = WebConfig(ae_paths=("/dicomweb",), public_url="http://gw", port=80, boundary_key=b"key")
    unused: Any = None
    archive = Archive(IndexReader(proxy_engine), unused, unused)
    client = create_app(Services(config, archive, mixed, HealthReport)).test_client()

    def fail(_ref):
        raise UpstreamTimeout("no answer")

    with monkeypatch.context() as outage:
        outage.setattr(image_sets, "properties", fail)
        for level in ("instances", "series"):
            assert client.get(f"/dicomweb/studies/1.2/{level}").status_code == 504
    response = client.get("/dicomweb/studies/1.2/instances?limit=1&offset=1&totalcount=true")
    (row,) = response.json
    assert row["00081190"]["Value"] == ["http://gw/dicomweb/studies/1.2/series/1.2.1/instances/1.2.1.2"]
    assert response.headers["X-Total-Count"] == "7"
    assert client.get("/dicomweb/studies/1.2/instances?SliceThickness=3").status_code == 400
    monkeypatch.setattr(image_sets, "properties", fail)
    # what was known before an outage is served on
    assert client.get("/dicomweb/studies/1.2/series").status_code == 200


def test_the_best_image_set_gives_an_instance(proxy_engine, image_sets):
    """Each comes once, from the primary image set, whatever its rows say."""
    image_sets.primary.add(hex_id("first"))
    for name, numbers, kind in (("first", (1, 2), "A"), ("second", (2, 3), "B")):
        image_sets.put(raw("1.2", name, slices("1.2.1", *numbers, ImageComments=kind)), instance_level=False)
    search = searching(proxy_engine, image_sets)
    found = search(parsed("instance", "ImageComments=*", study_uid="1.2"))
    kinds = [row["00204000"]["Value"][0] for row in found.rows]
    assert (uids(found), kinds) == (["1.2.1.1", "1.2.1.2", "1.2.1.3"], ["A", "A", "B"])
    (series,) = search(parsed("series", "", study_uid="1.2")).rows
    assert series["00201209"]["Value"] == [3]


def test_other_data_stores_are_never_asked(proxy_engine, image_sets, monkeypatch):
    monkeypatch.setattr(bare_series, "MOST_UNNAMED", 1)
    places = (
        ("ours", "1.2.1", STORE),
        ("theirs", "1.3.1", OTHER),
        ("both", "1.4.1", STORE),
        ("more", "1.4.2", OTHER),
    )
    for name, series, store in places:
        document = raw(series[:3], name, slices(series, 1), series)
        image_sets.put({**document, "DatastoreID": store}, instance_level=False)
    search = searching(proxy_engine, image_sets, sight=EVERYTHING.within(frozenset({STORE})))
    assert uids(search(parsed("instance", ""))) == ["1.2.1.1", "1.4.1.1"]
    for uid, series in (("1.2", "1.2.1"), ("1.4", "1.4.1")):
        assert uids(search(parsed("instance", "", study_uid=uid))) == [f"{series}.1"]
    for uid, series in (("1.3", "1.3.1"), ("1.4", "1.4.2")):
        assert search(parsed("instance", "", study_uid=uid, series_uid=series)).rows == []
    assert image_sets.asked_of == {STORE}


def test_beside_what_our_side_tables_know(ours, aws_url, image_sets, monkeypatch):
    for document in DOCUMENTS:
        image_sets.put(document, instance_level=document is DOCUMENTS[1])
    upgrade(aws_url)
    engine = make_engine(aws_url)
    index_image_set(engine, parse_document(orjson.dumps(DOCUMENTS[0])), version=1)
    search = searching(engine, image_sets)
    # our rows know the number of the study's series that we indexed
    for text in (one for one in QUERIES if "NumberOf" not in one):
        query = parsed("instance", text, study_uid="1.2")
        assert search(query) == ours(query), text
    query = parsed("instance", "SliceThickness=1.50&orderby=-InstanceNumber&limit=2", study_uid="1.2")
    assert search(query).rows == ours(query).rows
    in_study = parsed("series", "", study_uid="1.2")
    numbers = [row["00201209"] for row in ours(in_study).rows]
    assert [row["00201209"] for row in search(in_study).rows] == numbers
    assert [row["00201208"] for row in search(parsed("study", "")).rows] == [{"vr": "IS"}, {"vr": "IS"}]
    assert [row["00201208"] for row in search(parsed("instance", "StudyInstanceUID=1.2")).rows] == [
        {"vr": "IS"}
    ] * 7
    assert len(search(parsed("instance", "")).rows) == 8
    monkeypatch.setattr(bare_series, "MOST_UNNAMED", 1)
    with pytest.raises(InvalidRequest):
        search(parsed("instance", ""))
    for document in DOCUMENTS[1:]:
        index_image_set(engine, parse_document(orjson.dumps(document)), version=1)
    assert search(parsed("instance", "")) == ours(parsed("instance", ""))
    engine.dispose()
