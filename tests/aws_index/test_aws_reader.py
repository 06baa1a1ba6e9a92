"""Retrieval from an index that the AWS Lambda alone filled, flaws included (healthimaging.md 6.3)."""

import orjson
import pytest

from dicomweb_gateway.errors import IndexUnavailable, ResourceNotFound, UpstreamUnavailable
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.migrate import is_made_by_aws, upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.secrets import shared_secret
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING
from tests.aws_index.conftest import raw, slices
from tests.index.documents import STORE, document, hex_id, instance

OTHER = "f" * 32


@pytest.fixture
def reader(proxy_engine, image_sets):
    return IndexReader(proxy_engine, 0, image_sets, 0)


def uids(records):
    return [record.instance_uid for record in records]


def test_a_whole_record_comes_from_the_metadata(reader, image_sets):
    made = raw("1.2", "a", slices("1.2.1", 2, 10))
    image_sets.put(made)
    record = reader.instance("1.2", "1.2.1", "1.2.1.2")
    expected = parse_document(orjson.dumps(made)).find_instance("1.2.1", "1.2.1.2")
    assert expected is not None
    assert record.image_set == ImageSetRef(STORE, hex_id("a"), "4")
    assert (record.pixels, record.frames) == (expected.pixels, expected.wanted_frames())
    assert (record.modality, record.instance_number) == ("CT", 2)
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.2", "1.2.1.10"]
    assert uids(reader.study_instances("1.2")) == ["1.2.1.2", "1.2.1.10"]
    assert reader.image_sets("1.2") == [record.image_set]
    assert reader.image_set_of_frame(STORE, hex_id("a"), record.frames[0].key.frame_id) == record.frames[0]
    assert reader.counts() == {"studies": 1, "series": 1, "instances": 2}
    reader.ping()


@pytest.mark.parametrize(
    "path",
    [
        ("1.2", "1.2.1", "1.2.1.9"),
        ("1.2", "1.3.1", "1.3.1.1"),
        ("1.3", "1.2.1", "1.2.1.1"),
        ("1.9", "1", "1"),
    ],
)
def test_every_parent_is_checked(reader, image_sets, path):
    for study in ("1.2", "1.3"):
        image_sets.put(raw(study, study, slices(f"{study}.1", 1)))
    with pytest.raises(ResourceNotFound):
        reader.instance(*path)
    with pytest.raises(ResourceNotFound):
        reader.image_sets("1.9")
    assert reader.image_set_of_frame(STORE, hex_id("1.2"), "f" * 32) is None
    assert reader.image_set_of_frame(STORE, hex_id("none"), "f" * 32) is None


def test_missing_instance_rows_are_no_loss(reader, image_sets):
    """Flaw 7: series and image set rows only."""
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1, 2)), instance_level=False)
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.1", "1.2.1.2"]
    assert reader.counts()["instances"] == 0


def test_stale_rows_are_not_found(reader, image_sets):
    """Flaw 10: deletions are not subscribed, and instances that an update removed stay."""
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1, 2)))
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1)), indexed=False)
    with pytest.raises(ResourceNotFound):
        reader.instance("1.2", "1.2.1", "1.2.1.2")
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.1"]
    image_sets.delete("a")
    for ask in (
        lambda: reader.instance("1.2", "1.2.1", "1.2.1.1"),
        lambda: reader.series_instances("1.2", "1.2.1"),
        lambda: reader.image_sets("1.2"),
    ):
        with pytest.raises(ResourceNotFound):
            ask()
    assert reader.image_set_of_frame(STORE, hex_id("a"), hex_id("frame", "1.2.1.1", 0)) is None


def test_while_healthimaging_is_down_the_version_that_was_known_is_served(
    proxy_engine, image_sets, monkeypatch
):
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1)))
    reader = IndexReader(proxy_engine, 0, image_sets, 0)
    before = reader.instance("1.2", "1.2.1", "1.2.1.1")

    def down(ref):
        raise UpstreamUnavailable("down")

    monkeypatch.setattr(image_sets, "properties", down)
    assert reader.instance("1.2", "1.2.1", "1.2.1.1") == before
    with pytest.raises(UpstreamUnavailable):
        IndexReader(proxy_engine, 0, image_sets, 0).instance("1.2", "1.2.1", "1.2.1.1")


def test_a_deleted_image_set_is_remembered(proxy_engine, image_sets):
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1)))
    reader = IndexReader(proxy_engine, 0, image_sets, 60)
    record = reader.instance("1.2", "1.2.1", "1.2.1.1")
    reader.mark_stale(record.image_set)
    with pytest.raises(ResourceNotFound):
        reader.instance("1.2", "1.2.1", "1.2.1.1")


def test_an_instance_of_several_image_sets_comes_once_and_from_the_best(reader, image_sets):
    """Flaw 11: rows say nothing of primary image sets, and name only the last writer."""
    image_sets.primary.add(hex_id("first"))
    image_sets.put(raw("1.2", "first", slices("1.2.1", 1, 2)))
    image_sets.put(raw("1.2", "second", slices("1.2.1", 2, 3)))
    found = {r.instance_uid[-1]: r.image_set.image_set_id for r in reader.series_instances("1.2", "1.2.1")}
    assert found == {"1": hex_id("first"), "2": hex_id("first"), "3": hex_id("second")}
    assert reader.instance("1.2", "1.2.1", "1.2.1.2").image_set.image_set_id == hex_id("first")
    image_sets.delete("first")
    assert reader.instance("1.2", "1.2.1", "1.2.1.2").image_set.image_set_id == hex_id("second")


def test_without_primary_the_last_written_wins(reader, image_sets):
    for name in ("older", "newer"):
        image_sets.put(raw("1.2", name, slices("1.2.1", 1)))
    assert reader.instance("1.2", "1.2.1", "1.2.1.1").image_set.image_set_id == hex_id("newer")


def test_series_in_order_and_the_one_to_show(reader, image_sets):
    for number, modality, frames in ((" 10", "CT", 1), ("9", "SR", 0), (None, "MR", 1), ("2 ", "SEG", 1)):
        uid = f"1.2.{(number or '77').strip()}"
        made = {f"{uid}.1": instance(f"{uid}.1", frames)}
        image_sets.put(raw("1.2", uid, made, uid, series={"Modality": modality, "SeriesNumber": number}))
    assert reader.study_series("1.2") == ["1.2.2", "1.2.9", "1.2.10", "1.2.77"]
    assert reader.first_series_with_images("1.2") == "1.2.10"


def test_an_image_set_of_two_series(reader, image_sets):
    """Its one row names only the last series; the other is found through the study."""
    made = raw("1.2", "a", slices("1.2.1", 1))
    made["Study"]["Series"]["1.2.2"] = {"DICOM": {"Modality": "CT"}, "Instances": slices("1.2.2", 1)}
    image_sets.put(made)
    assert uids(reader.study_instances("1.2")) == ["1.2.1.1", "1.2.2.1"]


def test_none_texts_and_lists_do_no_harm(reader, image_sets):
    """Flaws 1, 2, 3 and 6: what the columns hold is nonsense, what is retrieved is right."""
    tags = {"ImageType": ["ORIGINAL", "PRIMARY"], "WindowCenter": ["40", "80"], "ContentTime": "083501.000"}
    image_sets.put(
        raw("1.2", "a", slices("1.2.1", 1, **tags), patient={"PatientID": None, "PatientSex": None})
    )
    assert reader.instance("1.2", "1.2.1", "1.2.1.1").instance_number == 1


def test_a_conflict_of_three(reader, image_sets, proxy_engine):
    for name in ("a", "b", "c", "c"):
        image_sets.put(raw("1.2", name, slices("1.2.1", 1)))
    with proxy_engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM conflict").scalar()
    assert rows == 4
    assert len(reader.series_instances("1.2", "1.2.1")) == 1


def test_rows_of_both_makers_are_one_index(aws_url, image_sets):
    """After `db upgrade`: what our side tables know comes from there, the rest through the AWS rows."""
    image_sets.put(raw("1.2", "theirs", slices("1.2.1", 2)))
    assert is_made_by_aws(aws_url)
    upgrade(aws_url)
    assert not is_made_by_aws(aws_url)
    engine = make_engine(aws_url)
    ours = document("1.2", {"1.2.1": slices("1.2.1", 1, 3)}, name="ours")
    index_image_set(engine, ours, version=1)
    image_sets.put(raw("1.2", "new series", slices("1.2.0", 1), "1.2.0", series={"SeriesNumber": "1"}))
    reader = IndexReader(engine, 0, image_sets, 0)
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.1", "1.2.1.2", "1.2.1.3"]
    assert uids(reader.study_instances("1.2")) == ["1.2.0.1", "1.2.1.1", "1.2.1.2", "1.2.1.3"]
    assert reader.instance("1.2", "1.2.1", "1.2.1.2").image_set.image_set_id == hex_id("theirs")
    assert {ref.image_set_id for ref in reader.image_sets("1.2")} == {
        hex_id("ours"),
        hex_id("theirs"),
        hex_id("new series"),
    }
    assert IndexReader(engine).study_series("1.2") == ["1.2.1"]
    engine.dispose()


def test_instances_of_a_newer_version_that_only_the_lambda_noted(aws_url, image_sets):
    """What a search lists can be fetched: the image set is known, the instance that came later is not."""
    upgrade(aws_url)
    engine = make_engine(aws_url)
    old, new = (raw("1.2", "a", slices("1.2.1", *numbers)) for numbers in ((1,), (1, 2)))
    index_image_set(engine, parse_document(orjson.dumps(old)), version=1)
    image_sets.put(new)
    reader = IndexReader(engine, 0, image_sets, 0)
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.1", "1.2.1.2"]
    assert reader.instance("1.2", "1.2.1", "1.2.1.2").image_set == ImageSetRef(STORE, hex_id("a"), "4")
    assert len(IndexSearch(engine)(parse_query("instance", [], study_uid="1.2")).rows) == 2
    engine.dispose()


def test_our_indexer_leaves_series_that_only_the_lambda_wrote(aws_url, image_sets):
    image_sets.put(raw("1.2", "theirs", slices("1.2.9", 1), "1.2.9"))
    upgrade(aws_url)
    engine = make_engine(aws_url)
    reader = IndexReader(engine, 0, image_sets, 0)
    index_image_set(engine, document("1.2", {"1.2.1": slices("1.2.1", 1)}, name="ours"), version=1)
    assert reader.study_series("1.2") == ["1.2.1", "1.2.9"]
    remove_image_set(engine, STORE, hex_id("ours"))
    assert reader.study_series("1.2") == ["1.2.9"]
    assert uids(reader.series_instances("1.2", "1.2.9")) == ["1.2.9.1"]
    engine.dispose()


def test_the_lambda_goes_on_after_our_migrations(aws_url, image_sets):
    """Its column lists, its positional inserts and its upserts, new rows and old."""
    made = raw("1.2", "a", slices("1.2.1", 1, 2))
    image_sets.put(made, frame_level=True)
    upgrade(aws_url)
    engine = make_engine(aws_url)
    index_image_set(engine, parse_document(orjson.dumps(made)), version=1)
    image_sets.put(made, frame_level=True)
    changed = raw("1.2", "a", slices("1.2.1", 1, 2, 3), patient={"PatientID": "P2"})
    image_sets.put(changed, frame_level=True)
    image_sets.put(raw("1.3", "b", slices("1.3.1", 1)), frame_level=True)
    image_sets.put(raw("1.2", "again", slices("1.2.1", 1)), frame_level=True)
    index_image_set(engine, parse_document(orjson.dumps(changed)), version=2)
    reader = IndexReader(engine, 0, image_sets, 0)
    assert uids(reader.series_instances("1.2", "1.2.1")) == ["1.2.1.1", "1.2.1.2", "1.2.1.3"]
    assert uids(reader.series_instances("1.3", "1.3.1")) == ["1.3.1.1"]
    with engine.connect() as connection:
        views = connection.exec_driver_sql("SELECT patientid, studyinstanceuid FROM full_study_view").all()
    assert sorted(map(tuple, views)) == [("P1", "1.3"), ("P2", "1.2")]
    upgrade(aws_url)
    engine.dispose()


def test_other_data_stores_are_unknown(proxy_engine, image_sets):
    """Theirs are never asked for; a series without a row of its own is looked for in ours only."""
    for study, name, series in (
        ("1.2", "ours", "1.2.1"),
        ("1.2", "theirs", "1.2.2"),
        ("1.3", "all", "1.3.1"),
    ):
        made = raw(study, name, slices(series, 1), series)
        image_sets.put(made if name == "ours" else {**made, "DatastoreID": OTHER})
    reader = IndexReader(proxy_engine, 0, image_sets, 0, EVERYTHING.within(frozenset({STORE})))
    assert reader.study_series("1.2") == ["1.2.1"]
    assert uids(reader.study_instances("1.2")) == ["1.2.1.1"]
    assert [ref.datastore_id for ref in reader.image_sets("1.2")] == [STORE]
    assert reader.first_series_with_images("1.2") == "1.2.1"
    assert reader.image_set_of_frame(STORE, hex_id("ours"), hex_id("frame", "1.2.1.1", 0))
    image_sets.asked = 0
    for ask in (
        lambda: reader.instance("1.3", "1.3.1", "1.3.1.1"),
        lambda: reader.series_instances("1.3", "1.3.1"),
        lambda: reader.study_instances("1.3"),
        lambda: reader.image_sets("1.3", "1.3.1"),
        lambda: reader.first_series_with_images("1.3"),
    ):
        with pytest.raises(ResourceNotFound):
            ask()
    assert reader.image_set_of_frame(OTHER, hex_id("all"), hex_id("frame", "1.3.1.1", 0)) is None
    assert image_sets.asked == 0
    with pytest.raises(ResourceNotFound):
        reader.instance("1.2", "1.2.2", "1.2.2.1")
    everything = IndexReader(proxy_engine, 0, image_sets, 0)
    assert everything.instance("1.2", "1.2.2", "1.2.2.1").image_set.datastore_id == OTHER


def test_without_a_source_an_aws_schema_is_not_enough(proxy_engine):
    with pytest.raises(IndexUnavailable):
        IndexReader(proxy_engine).study_series("1.2")


def test_the_boundary_secret_of_a_user_who_may_only_select(proxy_engine):
    assert len(shared_secret(proxy_engine, "boundary")) == 64
