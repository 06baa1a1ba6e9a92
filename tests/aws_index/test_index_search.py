"""Searching an index that AWS alone made, with SELECT only, held against our own index of the same data."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import orjson
import pytest
from sqlalchemy import Engine

from dicomweb_gateway.errors import IndexUnavailable, InvalidRequest
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import index_search
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from tests.aws_index.conftest import filled_place, raw, slices

DOCUMENTS = [
    raw(
        "1.2",
        "a",
        slices(
            "1.2.1",
            2,
            10,
            ImageType=["ORIGINAL", "PRIMARY"],
            WindowCenter=["40", "-60"],
            AcquisitionDate="20240101",
            AcquisitionTime="101600",
            RescaleSlope="1.50 ",
            PhotometricInterpretation="MONOCHROME2",
            BitsStored=12,
            ContentDescription="A, B ",
        ),
        patient={
            "PatientID": "A1",
            "PatientName": "Müller^Hans",
            "PatientSex": "M ",
            "PatientComments": "none",
        },
        study={"AccessionNumber": "X1", "StudyTime": "101500", "ReferringPhysicianName": "Weiß^Ida"},
        series={"SeriesNumber": "7 ", "SeriesDescription": "Axial", "BodyPartExamined": "HEAD"},
    ),
    raw(
        "1.2",
        "b",
        slices("1.2.2", 1),
        "1.2.2",
        patient={
            "PatientID": "A1",
            "PatientName": "Müller^Hans",
            "PatientSex": "M ",
            "PatientComments": "none",
        },
        study={"AccessionNumber": "X1", "StudyTime": "101500", "ReferringPhysicianName": "Weiß^Ida"},
        series={"Modality": "MR", "SeriesNumber": "10"},
    ),
    raw(
        "1.3",
        "c",
        slices("1.3.1", 1),
        patient={"PatientID": None, "PatientName": "MULLER^HANS^", "PatientSex": None},
        study={"StudyDate": "20231231", "AccessionNumber": None, "StudyDescription": None},
        series={"Modality": "MR", "SeriesNumber": None},
    ),
    raw(
        "1.4",
        "d",
        slices("1.4.1", 1),
        patient={"PatientID": "B1", "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        study={"StudyDate": None, "StudyID": "S 4", "AccessionNumber": "x1"},
    ),
    raw("1.5", "e", slices("1.5.1", 1), patient={"PatientName": None, "PatientBirthDate": "19700102"}),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('ours')}/index.db"
    upgrade(url)
    engine = make_engine(url)
    for document in DOCUMENTS:
        index_image_set(engine, parse_document(orjson.dumps(document)), version=1)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def theirs(mariadb_server) -> Iterator[IndexSearch]:
    with filled_place(mariadb_server, DOCUMENTS) as (engine, _):
        yield IndexSearch(engine)


QUERIES = [
    ("study", ""),
    ("study", "PatientID=A1"),
    ("study", "PatientID=a1"),
    ("study", "PatientID=None"),
    ("study", "PatientID=?1"),
    ("study", "PatientName=m*"),
    ("study", "PatientName=müller^hans"),
    ("study", "PatientName=MULLER^HANS"),
    ("study", "PatientName=*mad*"),
    ("study", "PatientName=山田*"),
    ("study", "PatientName=yam&fuzzymatching=true"),
    ("study", "PatientName=hans mül&fuzzymatching=true"),
    ("study", "ReferringPhysicianName=wei*"),
    ("study", "StudyDate=20240101-"),
    ("study", "StudyDate=-20231231"),
    ("study", "StudyTime=101500"),
    ("study", "AccessionNumber=X1"),
    ("study", "AccessionNumber=x1"),
    ("study", "AccessionNumber=None"),
    ("study", "PatientSex=M"),
    ("study", "PatientBirthDate=19700102"),
    ("study", "StudyID=S 4"),
    ("study", "ModalitiesInStudy=MR"),
    ("study", "ModalitiesInStudy=CT"),
    ("study", "ModalitiesInStudy=US"),
    ("study", "IssuerOfPatientID=DEFAULT_DOMAIN"),
    ("study", "StudyInstanceUID=1.3,1.4"),
    ("study", "limit=2&offset=1"),
    ("study", "orderby=PatientName"),
    ("study", "orderby=-PatientID&limit=3"),
    ("series", ""),
    ("series", "Modality=MR"),
    ("series", "SeriesNumber=7"),
    ("series", "SeriesDescription=Axial"),
    ("series", "PatientID=A1&Modality=CT"),
    ("instance", ""),
    ("instance", "InstanceNumber=2"),
    ("instance", "Rows=8"),
    ("instance", "SOPInstanceUID=1.2.1.10"),
    ("study", "PatientComments=none"),
    ("study", "PatientComments=*x*"),
    ("instance", "AcquisitionDate=20240101"),
    ("instance", "AcquisitionTime=1016&limit=1"),
    ("instance", "ImageType=PRIMARY"),
    ("instance", "ImageType=*MARY"),
    ("instance", "ImageType=PRIM"),
    ("instance", "ImageType=ORIG?NAL"),
    ("instance", "RescaleSlope=1.5&totalcount=true"),
    ("instance", "RescaleSlope=15"),
    ("instance", "BitsStored=12"),
    ("instance", "PhotometricInterpretation=MONOCHROME2&ContentDescription=A, B"),
    ("instance", "includefield=ImageType&includefield=WindowCenter&SOPInstanceUID=1.2.1.2"),
]


def parsed(level, text, **scope):
    return parse_query(level, [tuple(pair.split("=", 1)) for pair in text.split("&") if pair], **scope)


@pytest.mark.parametrize(("level", "text"), QUERIES)
def test_the_answers_are_the_same(ours, theirs, level, text):
    query = parsed(level, text)
    expected, found = IndexSearch(ours)(query), theirs(query)
    assert found.rows == expected.rows
    assert (found.total, found.remaining) == (expected.total, expected.remaining)


@pytest.mark.parametrize(
    ("level", "text", "named"),
    [
        ("series", "SeriesDate=20240101", "SeriesDate"),
        ("series", "ManufacturerModelName=x&PatientID=A1", "ManufacturerModelName"),
        ("series", "RequestAttributesSequence.RequestedProcedureID=1", "RequestAttributesSequence"),
        ("instance", "AcquisitionDateTime=2024", "AcquisitionDateTime"),
        ("series", "orderby=SeriesTime", "SeriesTime"),
        ("instance", "WindowCenter=40", "WindowCenter"),
        ("study", "PatientWeight=70", "PatientWeight"),
        ("series", "RequestAttributesSequence.RequestedProcedureDescription=x", "RequestAttributes"),
        ("series", 'SeriesTime=""&emptyvaluematching=true', "SeriesTime"),
    ],
)
def test_what_no_column_holds_is_refused(theirs, level, text, named):
    """Q-3: never an answer that leaves out what it could not compare."""
    with pytest.raises(InvalidRequest, match=named):
        theirs(parsed(level, text))


def test_names_with_several_groups_are_noticed(proxy_engine, image_sets, monkeypatch):
    """What was learned of all names is believed while it is young, then learned anew behind a search."""
    now = [0.0]
    monkeypatch.setattr(index_search, "time", SimpleNamespace(monotonic=lambda: now[0]))
    search = IndexSearch(proxy_engine, trust_seconds=10)
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1), patient={"PatientName": "Doe^John"}))
    query = parsed("study", "PatientName=山*")
    assert search(query).rows == []
    image_sets.put(
        raw("1.3", "b", slices("1.3.1", 1), patient={"PatientName": "Yamada=山田", "PatientID": "2"})
    )
    assert len(search(parsed("study", "PatientName=yam*")).rows) == 1
    assert search(query).rows == []
    now[0] = 61
    assert len(search(query).rows) == 1
    image_sets.run("DELETE FROM patient WHERE patientid = '2'")
    now[0] = 72
    search(query)
    for thread in threading.enumerate():
        if thread.name == "names":
            thread.join()
    assert search._names.are_indexed(None)


@pytest.fixture(scope="module")
def sharp(mariadb_server) -> Iterator[IndexSearch]:
    """Names with an ß, and names that are spelled like half of one."""
    documents = [
        raw(f"1.{n}", name, slices(f"1.{n}.1", 1), patient={"PatientName": name, "PatientID": str(n)})
        for n, name in enumerate(("Strauß", "Schmitt", "Suß", "Ssa"))
    ]
    with filled_place(mariadb_server, documents) as (engine, _):
        yield IndexSearch(engine)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("s*", "Strauß Schmitt Suß Ssa"),
        ("sch*", "Schmitt"),
        ("ss*", "Ssa"),
        ("stra*", "Strauß"),
        ("strauss", "Strauß"),
        ("straus*", "Strauß"),
        ("strau?s", "Strauß"),
        ("strau?", ""),
        ("*s", "Strauß Suß"),
        ("*us?", "Strauß Suß"),
        ("suss", "Suß"),
        ("sus", ""),
    ],
)
def test_an_s_may_be_half_of_another_letter(sharp, value, found):
    rows = sharp(parsed("study", f"PatientName={value}&orderby=PatientID")).rows
    assert " ".join(row["00100010"]["Value"][0]["Alphabetic"] for row in rows) == found


def test_below_a_study_and_a_series(ours, theirs):
    for level, scope in (("series", {"study_uid": "1.2"}), ("instance", {"study_uid": "1.2"})):
        query = parsed(level, "", **scope)
        assert theirs(query).rows == IndexSearch(ours)(query).rows
    query = parsed("instance", "", study_uid="1.2", series_uid="1.2.2")
    assert len(theirs(query).rows) == 1


def test_counts_that_the_lambda_left_out(proxy_engine, image_sets):
    """Flaw 7: unknown numbers are not 0; and a study moved to another patient shows the new one (6.2)."""
    image_sets.put(DOCUMENTS[0], instance_level=False)
    image_sets.put({**DOCUMENTS[0], "Patient": {"DICOM": {"PatientID": "NEW"}}}, instance_level=False)
    (row,) = IndexSearch(proxy_engine)(parsed("study", "")).rows
    assert row["00201206"]["Value"] == [1]
    assert row["00201208"] == {"vr": "IS"}
    assert row["00100020"]["Value"] == ["NEW"]


def test_hostile_values_stay_values(theirs):
    for value in ("' OR 1=1 --", "%", "_", "\\", "%s", "{}", "\"'`"):
        assert theirs(parsed("study", f"PatientID={value}")).rows == []


def test_a_file_without_tables_is_unavailable(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(IndexUnavailable):
        IndexSearch(engine)(parsed("study", ""))
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("h*s", ["1.2", "1.3"]),
        ("m?l", ["1.2", "1.3"]),
        ("m*r hans", ["1.2", "1.3"]),
        # no wildcard stands for what parts two words
        ("m*hans", []),
        ("mül*s", []),
        ("muller?hans", []),
        ("?hans", []),
    ],
)
def test_a_wildcard_stays_within_a_word(theirs, name, found):
    rows = theirs(parsed("study", f"PatientName={name}&fuzzymatching=true")).rows
    assert sorted(row["0020000D"]["Value"][0] for row in rows) == found
