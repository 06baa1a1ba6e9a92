import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time

import pydicom
import pytest
from pydicom.data import get_testdata_file
from sqlalchemy import func, select, text

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import side_tables, tables
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.known import data_store_ids, known_image_sets
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.rows import (
    INSTANCE_KEYWORDS,
    PATIENT_KEYWORDS,
    SERIES_KEYWORDS,
    STUDY_KEYWORDS,
)
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import STORE, document, hex_id, instance, simple
from tests.index.searching import search

DAY = datetime(2025, 5, 1, tzinfo=UTC)
LATER = datetime(2025, 6, 1, tzinfo=UTC)


def rows(engine, table, *columns):
    chosen = [table.c[name] for name in columns] if columns else table.c
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*chosen).order_by(*chosen))]


def contents(engine):
    """All rows of all tables without surrogate keys, times of indexing and what is gone: they may differ."""
    found = {}
    for table in tables.metadata.sorted_tables:
        if table.name == "gateway_tombstone":
            continue
        names = [c.name for c in table.c if not c.name.endswith(("_key", "_pkey", "indexed_at"))]
        found[table.name] = sorted(map(repr, rows(engine, table, *names)))
    return found


def filled_tables(engine):
    return {name for name, found in contents(engine).items() if found}


SEEDED = {"issuer", "gateway_lock"}


def test_the_real_documents(engine, ahi_documents):
    for path in sorted(ahi_documents.rglob("*.json")):
        index_image_set(engine, parse_document(path.read_bytes()), version=1, is_primary=True)
    assert IndexReader(engine).counts() == {"studies": 3, "series": 5, "instances": 601}
    counted = rows(engine, tables.study, "numberofstudyrelatedseries", "numberofstudyrelatedinstances")
    assert counted == [(1, 9), (1, 588), (3, 4)]
    patients = rows(engine, tables.patient, "patientid", "patientname", "patientsex")
    assert patients == [
        ("EX-0001", "DOE^JANE^^DR", "F"),
        ("NO_PID", "US Echo", None),
        ("PID3608579624968", "MAYRA^POETA", "F"),
    ]
    with engine.connect() as connection:
        frames = connection.execute(select(func.count()).select_from(tables.frame)).scalar()
        largest = connection.execute(select(func.max(side_tables.gateway_frame.c.checksum))).scalar()
    assert frames == 614
    assert 2**31 < largest < 2**32


def test_indexing_again_changes_nothing(engine):
    made = simple("1.2", "a", 3)
    index_image_set(engine, made, version=2, is_primary=True, updated_at=DAY)
    before = contents(engine)
    result = index_image_set(engine, made, version=2, is_primary=True, updated_at=DAY)
    assert contents(engine) == before
    assert (result.applied, result.series, result.instances, result.reindex) == (True, 1, 3, ())


def test_column_values(engine):
    made = document(
        "1.2",
        {
            "1.2.1": {
                "1.2.1.1": instance(
                    "1.2.1.1",
                    InstanceNumber="007 ",
                    WindowCenter=["40", "-600"],
                    ImageType=["ORIGINAL", "PRIMARY", ""],
                    ContentTime="083501.000",
                    AcquisitionTime="1530",
                    ContentDate="2012.04.18",
                    AcquisitionDate="20240231",
                )
            }
        },
        patient={"PatientID": None, "PatientSex": None, "IssuerOfPatientID": None},
        series_tags={"SeriesNumber": "1 ", "Manufacturer": None},
    )
    index_image_set(engine, made, version=1)
    assert rows(engine, tables.patient, "patientid", "patientsex") == [("NO_PID", None)]
    assert rows(engine, tables.series, "seriesnumber", "manufacturer") == [("1", None)]
    (found,) = rows(
        engine,
        tables.instance,
        "instancenumber",
        "windowcenter",
        "imagetype",
        "contenttime",
        "acquisitiontime",
        "contentdate",
        "acquisitiondate",
    )
    assert found[:3] == (7, "40\\-600", "ORIGINAL\\PRIMARY")
    assert found[3:5] == (time(8, 35, 1), time(15, 30))
    assert (str(found[5]), found[6]) == ("2012-04-18", None)


def test_a_newer_version_removes_what_is_gone(engine):
    index_image_set(engine, simple("1.2", "a", 3), version=1)
    index_image_set(engine, simple("1.2", "a", 2), version=2)
    for table, column in (
        (tables.instance, "sopinstanceuid"),
        (side_tables.gateway_instance, "instance_uid"),
    ):
        assert rows(engine, table, column) == [("1.2.1.1",), ("1.2.1.2",)]
    assert len(rows(engine, tables.frame)) == len(rows(engine, side_tables.gateway_frame)) == 2
    assert rows(engine, tables.series, "numberofseriesrelatedinstances") == [(2,)]


def test_an_older_version_never_overwrites(engine):
    index_image_set(engine, simple("1.2", "a", 3), version=10)
    before = contents(engine)
    result = index_image_set(engine, simple("1.2", "a", 1), version=9)
    assert not result.applied
    assert contents(engine) == before
    assert known_image_sets(engine, STORE) == {hex_id("a"): 10}


def test_the_primary_wins_whatever_comes_first(engine):
    """The other set is newer; it may only add what the primary does not hold (Q-52)."""
    primary = simple(
        "1.2", "primary", 2, study={"StudyDescription": "right"}, series_tags={"SeriesNumber": "1"}
    )
    other = simple("1.2", "other", 3, study={"StudyDescription": "wrong"}, series_tags={"SeriesNumber": "9"})
    sets = [(primary, {"is_primary": True, "updated_at": DAY}), (other, {"updated_at": LATER})]
    found = []
    for order in (sets, sets[::-1]):
        for made, how in order:
            index_image_set(engine, made, version=1, **how)
        reader = IndexReader(engine)
        owners = [one.image_set.image_set_id for one in reader.series_instances("1.2", "1.2.1")]
        assert owners == [hex_id("primary")] * 2 + [hex_id("other")]
        found.append(
            (rows(engine, tables.study, "studydescription"), rows(engine, tables.series, "seriesnumber"))
        )
        for made, _ in sets:
            remove_image_set(engine, STORE, made.image_set_id)
    assert found == [([("right",)], [("1",)])] * 2


def test_without_a_primary_the_newest_wins(engine):
    index_image_set(engine, simple("1.2", "new"), version=1, updated_at=LATER)
    index_image_set(engine, simple("1.2", "old"), version=5, updated_at=DAY)
    record = IndexReader(engine).instance("1.2", "1.2.1", "1.2.1.1")
    assert record.image_set.image_set_id == hex_id("new")


def test_two_image_sets_of_a_series_are_a_conflict_noted_once(engine):
    for _ in range(2):
        for name in ("a", "b", "c"):
            index_image_set(engine, simple("1.2", name), version=1)
    noted = rows(engine, tables.conflict, "imageset_pkey", "priority", "conflict_type")
    assert noted == [(1, 1, None), (2, 1, None), (3, 1, None)]


def test_removing_falls_back_to_the_other_image_set(engine):
    primary, other = simple("1.2", "primary", 2), simple("1.2", "other", 2)
    index_image_set(engine, other, version=3)
    index_image_set(engine, primary, version=1, is_primary=True)
    again = remove_image_set(engine, STORE, primary.image_set_id)
    assert [(one.image_set_id, one.version_id) for one in again] == [(other.image_set_id, "3")]
    index_image_set(engine, other, version=3)
    records = IndexReader(engine).series_instances("1.2", "1.2.1")
    assert {one.image_set.image_set_id for one in records} == {other.image_set_id}
    assert remove_image_set(engine, STORE, other.image_set_id) == []
    assert filled_tables(engine) == SEEDED


def test_removing_an_unknown_image_set_is_no_error(engine):
    assert remove_image_set(engine, STORE, "f" * 32) == []


def test_an_instance_that_a_new_version_drops_is_left_to_the_other_set(engine):
    index_image_set(engine, simple("1.2", "other", 2), version=1)
    index_image_set(engine, simple("1.2", "primary", 2), version=1, is_primary=True)
    result = index_image_set(engine, simple("1.2", "primary", 1), version=2, is_primary=True)
    assert [one.image_set_id for one in result.reindex] == [hex_id("other")]
    index_image_set(engine, simple("1.2", "other", 2), version=1)
    owners = [one.image_set.image_set_id for one in IndexReader(engine).series_instances("1.2", "1.2.1")]
    assert owners == [hex_id("primary"), hex_id("other")]


def test_one_study_uid_under_two_patients(engine):
    """Both are kept, each with its own patient; the primary's patient speaks for the study."""
    first = document("1.2", {"1.2.1": {"1.2.1.1": instance("1.2.1.1")}}, name="first")
    other = {"PatientID": "P2", "PatientName": "Roe^Jane"}
    second = document("1.2", {"1.2.2": {"1.2.2.1": instance("1.2.2.1")}}, name="second", patient=other)
    index_image_set(engine, first, version=1, is_primary=True, updated_at=DAY)
    index_image_set(engine, second, version=1, is_primary=False, updated_at=LATER)
    assert rows(engine, tables.patient, "patientid", "patientname") == [("P1", "Doe^John")]
    study = side_tables.gateway_study
    assert rows(engine, study, "patientid", "is_main", "series_count") == [("P1", True, 2), ("P2", False, 2)]
    assert IndexReader(engine).instance("1.2", "1.2.2", "1.2.2.1").image_set.image_set_id == hex_id("second")
    remove_image_set(engine, STORE, hex_id("first"))
    index_image_set(engine, second, version=1)
    assert rows(engine, study, "patientid", "is_main") == [("P2", True)]
    assert rows(engine, tables.patient, "patientid") == [("P2",)]


def test_one_instance_uid_in_two_studies_stays_below_both(engine):
    series = {"9.1": {"9.1.1": instance("9.1.1")}}
    index_image_set(engine, document("1.2", series, name="a"), version=1, is_primary=True)
    index_image_set(engine, document("1.3", series, name="b"), version=1)
    reader = IndexReader(engine)
    assert reader.instance("1.2", "9.1", "9.1.1").image_set.image_set_id == hex_id("a")
    assert reader.instance("1.3", "9.1", "9.1.1").image_set.image_set_id == hex_id("b")
    assert rows(engine, tables.instance, "sopinstanceuid") == [("9.1.1",)]


def test_an_image_set_may_move_to_another_study(engine):
    index_image_set(engine, simple("1.2", "a"), version=1)
    index_image_set(engine, simple("1.3", "a"), version=2)
    assert rows(engine, tables.study, "studyinstanceuid") == [("1.3",)]
    assert IndexReader(engine).counts() == {"studies": 1, "series": 1, "instances": 1}


def test_a_document_without_study_is_refused(engine):
    with pytest.raises(UpstreamFailed, match="names no study"):
        index_image_set(engine, document("", {}), version=1)


@pytest.mark.parametrize("frames", [None, []])
def test_instances_without_frames(engine, frames):
    one = instance("1.2.1.1", frames=0)
    one["ImageFrames"] = frames
    index_image_set(engine, document("1.2", {"1.2.1": {"1.2.1.1": one}}), version=1)
    record = IndexReader(engine).instance("1.2", "1.2.1", "1.2.1.1")
    assert (record.pixels, record.frames) == (None, ())


def test_very_long_attributes_are_not_kept(engine):
    groups = [{"FrameContentSequence": [{"FrameComments": "x" * 500}]} for _ in range(1000)]
    one = instance("1.2.1.1", PerFrameFunctionalGroupsSequence=groups)
    index_image_set(engine, document("1.2", {"1.2.1": {"1.2.1.1": one}}), version=1)
    ((kept,),) = rows(engine, side_tables.gateway_instance, "attributes")
    assert len(kept) < 1000
    assert '"00280010"' in kept


def test_overlong_text_is_cut_to_the_column(engine):
    made = simple("1.2", "a", patient={"PatientName": "x" * 1000, "PatientSex": "y" * 100})
    index_image_set(engine, made, version=1)
    assert rows(engine, tables.patient, "patientname", "patientsex") == [("x" * 256, "y" * 16)]


def test_image_sets_in_any_order_give_the_same_index(engine):
    """Sets of one study, some sharing series and instances, with versions and removals in between."""
    made = [
        (document("1.2", {f"1.2.{s}": {f"1.2.{s}.{i}": instance(f"1.2.{s}.{i}") for i in range(i0, i0 + 3)}},
                  name=f"{s}-{i0}", study={"StudyDescription": f"{s}-{i0}"}), s == 1, i0)
        for s in (1, 2) for i0 in (1, 2, 3)
    ]  # fmt: skip
    wanted = None
    for seed in range(4):
        mixed = random.Random(seed).sample(made, len(made))
        for one, primary, hour in mixed:
            index_image_set(engine, one, version=1, is_primary=primary, updated_at=DAY.replace(hour=hour))
        found = {
            name: value
            for name, value in contents(engine).items()
            if name.startswith("gateway") or name in ("study", "series", "instance", "patient", "imageset")
        }
        wanted = wanted or found
        assert found == wanted
        for one, _, _ in mixed:
            remove_image_set(engine, STORE, one.image_set_id)


def test_concurrent_indexers_lose_nothing(engine):
    made = [simple("1.2", "shared", 2), *(simple(f"1.2.{n}", f"set{n}", 2) for n in range(6))]
    jobs = made * 3
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: index_image_set(engine, one, version=1), jobs))
    assert IndexReader(engine).counts() == {"studies": 7, "series": 7, "instances": 14}


def test_concurrent_image_sets_of_one_study_are_counted_exactly(engine):
    made = [
        document("1.2", {f"1.2.{n}": {f"1.2.{n}.1": instance(f"1.2.{n}.1")}}, name=str(n)) for n in range(12)
    ]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: index_image_set(engine, one, version=1, is_primary=True), made))
    counted = rows(engine, tables.study, "numberofstudyrelatedseries", "numberofstudyrelatedinstances")
    assert counted == [(12, 12)]
    assert rows(engine, side_tables.gateway_study, "series_count", "instance_count") == [(12, 12)]


def test_data_stores(engine):
    index_image_set(engine, simple("1.2", "a"), version=1)
    index_image_set(engine, simple("1.3", "b", store="f" * 32), version=4)
    assert data_store_ids(engine) == [STORE, "f" * 32]
    assert known_image_sets(engine, "f" * 32) == {hex_id("b"): 4}


def test_an_unfinished_write_leaves_nothing(engine, monkeypatch):
    def broken(*_):
        raise RuntimeError("stop")

    monkeypatch.setattr("dicomweb_gateway.index.aws_writer.settle", broken)
    with pytest.raises(RuntimeError, match="stop"):
        index_image_set(engine, simple("1.2", "a"), version=1)
    assert filled_tables(engine) == SEEDED


def test_text_of_a_real_header_survives(engine):
    """Values of a pydicom file, put as HealthImaging would, come back from the AWS columns."""
    header = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    made = simple(
        header.StudyInstanceUID,
        "a",
        patient={"PatientID": header.PatientID, "PatientName": str(header.PatientName)},
        study={"StudyDate": header.StudyDate, "StudyTime": header.StudyTime},
    )
    index_image_set(engine, made, version=1)
    with engine.connect() as connection:
        row = connection.execute(select(tables.study.c.studydate, tables.study.c.studytime)).one()
        patient = connection.execute(text("SELECT patientid FROM full_study_view")).scalar()
    assert (patient, *row) == ("1CT1", date(2004, 1, 19), time(7, 27, 30))


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "",
        [],
        [None],
        5,
        1.5,
        {"a": 1},
        [{"a": 1}],
        "x" * 5000,
        "\0",
        "a\\b",
        True,
        2**63,
        "9" * 40,
        "1e400",
    ],
)
def test_values_of_the_wrong_kind_are_indexed_as_they_can_be(engine, odd):
    """Every attribute that the index reads, with a value that its VR does not allow."""
    made = document(
        "1.2",
        {"1.2.1": {"1.2.1.1": instance("1.2.1.1", **dict.fromkeys(INSTANCE_KEYWORDS, odd))}},
        patient=dict.fromkeys([*PATIENT_KEYWORDS, "IssuerOfPatientID"], odd),
        study=dict.fromkeys(STUDY_KEYWORDS, odd),
        series_tags={**dict.fromkeys(SERIES_KEYWORDS, odd), "RequestAttributesSequence": odd},
    )
    assert index_image_set(engine, made, version=1).instances == 1
    (record,) = IndexReader(engine).series_instances("1.2", "1.2.1")
    assert len(record.frames) == 1
    for level in ("study", "series", "instance"):
        assert len(search(engine, parse_query(level, [("includefield", "all")])).rows) == 1
