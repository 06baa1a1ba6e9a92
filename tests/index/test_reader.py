import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import ResourceGone, ResourceNotFound
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.known import known_image_sets
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.sight import EVERYTHING
from tests.index.documents import STORE, document, hex_id, instance, simple

EXAMPLE = "1.2.826.0.1.3680043.10.1443.1.1"
OTHER = "f" * 32
ONLY_OURS = EVERYTHING.within(frozenset({STORE}))


@pytest.fixture
def reader(engine):
    index_image_set(engine, simple("1.2", "a", 2), version=7)
    index_image_set(engine, simple("1.3", "b"), version=1)
    return IndexReader(engine)


def test_a_whole_record(reader):
    record = reader.instance("1.2", "1.2.1", "1.2.1.2")
    key = FrameKey(STORE, hex_id("a"), hex_id("frame", "1.2.1.2", 0))
    assert record.image_set == ImageSetRef(STORE, hex_id("a"), "7")
    assert record.frames == (WantedFrame(key, "1.2.840.10008.1.2.4.202", 4_000_000_000, 2),)
    assert record.pixels == PixelDescription(rows=8, columns=8, bits_stored=12, high_bit=11)
    assert (record.sop_class_uid, record.modality, record.instance_number) == (
        "1.2.840.10008.5.1.4.1.1.2",
        "CT",
        2,
    )


def test_a_layout_of_another_level_is_the_instances_own(engine):
    """Another store may keep Rows, Columns and Bits Allocated with the series (healthimaging.md 2.2)."""
    one = instance("1.2.1.1")
    layout = {key: one["DICOM"].pop(key) for key in ("Rows", "Columns", "BitsAllocated")}
    made = document("1.2", {"1.2.1": {"1.2.1.1": one}}, series_tags=layout)
    index_image_set(engine, made, version=1)
    record = IndexReader(engine).instance("1.2", "1.2.1", "1.2.1.1")
    assert record.pixels == PixelDescription(rows=8, columns=8, bits_stored=12, high_bit=11)
    assert [frame.bytes_per_sample for frame in record.frames] == [2]


def test_records_say_what_the_documents_say(engine, ahi_documents):
    """For every instance of the real documents: pixels and frames as the document itself gives them."""
    reader = IndexReader(engine)
    checked = 0
    for path in sorted(ahi_documents.rglob("*.json")):
        made = parse_document(path.read_bytes())
        index_image_set(engine, made, version=1)
        for series in made.series():
            for one in series.instances():
                record = reader.instance(made.study_uid, series.series_uid, one.instance_uid)
                assert record.pixels == one.pixels
                assert record.frames == one.wanted_frames()
                assert record.transfer_syntax_uid == one.transfer_syntax_uid
                checked += 1
    assert checked == 601


@pytest.mark.parametrize(
    "path",
    [
        ("1.2", "1.2.1", "1.2.1.3"),
        ("1.3", "1.2.1", "1.2.1.1"),
        ("1.2", "1.3.1", "1.2.1.1"),
        ("1.2", "1.3.1", "1.3.1.1"),
        ("1.4", "1.2.1", "1.2.1.1"),
    ],
)
def test_every_parent_is_checked(reader, path):
    with pytest.raises(ResourceNotFound, match=path[2]):
        reader.instance(*path)


@pytest.mark.parametrize("path", [("1.2", "1.3.1"), ("1.3", "1.2.1"), ("1.9", "1.2.1")])
def test_unknown_series(reader, path):
    with pytest.raises(ResourceNotFound):
        reader.series_instances(*path)
    with pytest.raises(ResourceNotFound):
        reader.image_sets(*path)


def test_an_unknown_study_fails_before_the_first_record(reader):
    for ask in (
        reader.study_instances,
        reader.image_sets,
        reader.first_series_with_images,
        reader.study_series,
    ):
        with pytest.raises(ResourceNotFound, match=r"1\.9"):
            ask("1.9")


def test_instances_by_number_missing_last_then_uid(engine):
    numbers = {"1": "10", "2": "9", "3": None, "4": "x", "5": "-1", "6": "9"}
    made = {f"1.2.1.{n}": instance(f"1.2.1.{n}", InstanceNumber=number) for n, number in numbers.items()}
    index_image_set(engine, document("1.2", {"1.2.1": made}), version=1)
    found = [one.instance_uid[-1] for one in IndexReader(engine).series_instances("1.2", "1.2.1")]
    assert found == ["5", "2", "6", "1", "3", "4"]


def test_series_by_number_missing_last_then_uid(engine):
    for uid, number in (("1.2.10", "10"), ("1.2.2", "9"), ("1.2.1", None), ("1.2.3", "9")):
        made = document(
            "1.2", {uid: {f"{uid}.1": instance(f"{uid}.1")}}, name=uid, series_tags={"SeriesNumber": number}
        )
        index_image_set(engine, made, version=1)
    reader = IndexReader(engine)
    expected = ["1.2.2", "1.2.3", "1.2.10", "1.2.1"]
    assert [one.series_uid for one in reader.study_instances("1.2")] == expected
    assert [one.image_set_id for one in reader.image_sets("1.2")] == [hex_id(uid) for uid in expected]


def test_frames_come_in_order(engine):
    made = document("1.2", {"1.2.1": {"1.2.1.1": instance("1.2.1.1", frames=1200)}})
    index_image_set(engine, made, version=1)
    frames = IndexReader(engine).instance("1.2", "1.2.1", "1.2.1.1").frames
    assert [f.key.frame_id for f in frames] == [hex_id("frame", "1.2.1.1", n) for n in range(1200)]


@pytest.mark.parametrize(
    ("modalities", "shown"),
    [
        (["SR", "SEG", "MR", "CT"], "1.2.3"),
        (["RTDOSE", "PT"], "1.2.2"),
        (["SR", "SEG"], "1.2.2"),
        (["SR"], "1.2.1"),
    ],
)
def test_the_series_that_represents_a_study(engine, modalities, shown):
    for number, modality in enumerate(modalities, 1):
        uid = f"1.2.{number}"
        one = instance(f"{uid}.1", frames=0 if modality == "SR" else 1)
        tags = {"Modality": modality, "SeriesNumber": str(number)}
        index_image_set(
            engine, document("1.2", {uid: {f"{uid}.1": one}}, name=uid, series_tags=tags), version=1
        )
    assert IndexReader(engine).first_series_with_images("1.2") == shown


def test_a_frame_of_an_image_set(reader):
    frame_id = hex_id("frame", "1.2.1.1", 0)
    found = reader.image_set_of_frame(STORE, hex_id("a"), frame_id)
    assert found == reader.instance("1.2", "1.2.1", "1.2.1.1").frames[0]
    assert reader.image_set_of_frame(STORE, hex_id("b"), frame_id) is None
    assert reader.image_set_of_frame("f" * 32, hex_id("a"), frame_id) is None


def test_a_stale_image_set_is_not_found_until_it_is_indexed_again(engine, reader):
    path = ("1.2", "1.2.1", "1.2.1.1")
    stale = reader.instance(*path).image_set
    frame = reader.instance(*path).frames[0].key
    assert reader.image_set_of_frame(*frame) is not None
    reader.mark_stale(stale)
    for ask in (
        lambda: reader.instance(*path),
        lambda: reader.series_instances(*path[:2]),
        lambda: reader.image_sets("1.2"),
    ):
        with pytest.raises(ResourceNotFound):
            ask()
    # nor by HealthImaging's own address, where the frame itself may still lie in the store
    assert reader.image_set_of_frame(*frame) is None
    assert known_image_sets(engine, STORE) == {hex_id("b"): 1}
    index_image_set(engine, simple("1.2", "a", 2), version=7)
    assert reader.instance(*path).image_set == stale


def test_another_set_takes_over_from_a_stale_primary(engine, reader):
    index_image_set(engine, simple("1.2", "primary", 2), version=1, is_primary=True)
    reader.mark_stale(ImageSetRef(STORE, hex_id("primary")))
    index_image_set(engine, simple("1.2", "a", 2), version=7)
    assert reader.image_sets("1.2") == [ImageSetRef(STORE, hex_id("a"), "7")]


def test_other_data_stores_are_unknown(engine):
    index_image_set(engine, simple("1.2", "ours", 2), version=1)
    index_image_set(engine, simple("1.3", "theirs", store=OTHER), version=1)
    path, frame_id = ("1.3", "1.3.1", "1.3.1.1"), hex_id("frame", "1.3.1.1", 0)
    everything, reader = IndexReader(engine), IndexReader(engine, sight=ONLY_OURS)
    assert everything.instance(*path).image_set.datastore_id == OTHER
    assert everything.image_set_of_frame(OTHER, hex_id("theirs"), frame_id)
    for ask in (
        lambda: reader.instance(*path),
        lambda: reader.series_instances(*path[:2]),
        lambda: reader.study_instances("1.3"),
        lambda: reader.study_series("1.3"),
        lambda: reader.image_sets("1.3"),
        lambda: reader.image_sets(*path[:2]),
        lambda: reader.first_series_with_images("1.3"),
    ):
        with pytest.raises(ResourceNotFound) as raised:
            ask()
        assert not isinstance(raised.value, ResourceGone)
    assert reader.image_set_of_frame(OTHER, hex_id("theirs"), frame_id) is None
    assert len(list(reader.study_instances("1.2"))) == 2
    assert reader.instance("1.2", "1.2.1", "1.2.1.1").image_set.datastore_id == STORE
    assert reader.image_set_of_frame(STORE, hex_id("ours"), hex_id("frame", "1.2.1.1", 0))


def test_of_a_study_in_two_data_stores_one_part_is_seen(engine):
    """Their series come first and have the pictures; of the series that both hold, each has instances."""
    theirs = {
        uid: {f"{uid}.{n}": instance(f"{uid}.{n}", InstanceNumber=n)}
        for uid, n in (("1.2.0", "1"), ("1.2.1", "2"))
    }
    ours = {"1.2.1": {"1.2.1.1": instance("1.2.1.1", frames=0)}, "1.2.2": {"1.2.2.1": instance("1.2.2.1")}}
    index_image_set(engine, document("1.2", theirs, name="theirs", store=OTHER), version=1)
    index_image_set(engine, document("1.2", ours, name="ours"), version=1)
    reader = IndexReader(engine, sight=ONLY_OURS)
    assert reader.study_series("1.2") == ["1.2.1", "1.2.2"]
    assert [one.instance_uid for one in reader.study_instances("1.2")] == ["1.2.1.1", "1.2.2.1"]
    assert [one.instance_uid for one in reader.series_instances("1.2", "1.2.1")] == ["1.2.1.1"]
    assert reader.image_sets("1.2") == [ImageSetRef(STORE, hex_id("ours"), "1")]
    assert reader.first_series_with_images("1.2") == "1.2.2"
    assert IndexReader(engine).first_series_with_images("1.2") == "1.2.0"
    with pytest.raises(ResourceNotFound):
        reader.instance("1.2", "1.2.1", "1.2.1.2")


def test_an_instance_in_two_data_stores_comes_from_the_one_that_is_seen(engine):
    index_image_set(engine, simple("1.2", "ours", 2), version=1)
    index_image_set(engine, simple("1.2", "theirs", store=OTHER), version=1, is_primary=True)
    for sight, names in ((ONLY_OURS, {"ours"}), (EVERYTHING, {"ours", "theirs"})):
        reader = IndexReader(engine, sight=sight)
        found = reader.series_instances("1.2", "1.2.1")
        assert [one.instance_uid for one in found] == ["1.2.1.1", "1.2.1.2"]
        assert {one.image_set.image_set_id for one in found} == {hex_id(name) for name in names}
        assert reader.instance("1.2", "1.2.1", "1.2.1.1").image_set.image_set_id == hex_id(sorted(names)[-1])


def test_hot_lookups_are_kept_for_a_while(engine):
    index_image_set(engine, simple("1.2", "a"), version=1)
    kept, fresh = IndexReader(engine, cache_seconds=60), IndexReader(engine, cache_seconds=0)
    for reader in (kept, fresh):
        assert reader.instance("1.2", "1.2.1", "1.2.1.1").image_set.version_id == "1"
    index_image_set(engine, simple("1.2", "a"), version=2)
    assert kept.instance("1.2", "1.2.1", "1.2.1.1").image_set.version_id == "1"
    assert fresh.instance("1.2", "1.2.1", "1.2.1.1").image_set.version_id == "2"


def test_ping_and_counts(reader):
    reader.ping()
    assert reader.counts() == {"studies": 2, "series": 2, "instances": 3}


def test_a_series_that_is_leafed_through_is_read_at_once(engine):
    index_image_set(engine, simple("1.2", "a", 6), version=1)
    reader = IndexReader(engine, cache_seconds=60)

    def version(number: int) -> str | None:
        return reader.instance("1.2", "1.2.1", f"1.2.1.{number}").image_set.version_id

    assert [version(number) for number in (1, 2, 3, 4)] == ["1"] * 4
    index_image_set(engine, simple("1.2", "a", 6), version=2)
    assert [version(number) for number in (5, 6)] == ["1"] * 2
    with pytest.raises(ResourceNotFound):
        version(7)


def test_frames_of_an_image_set_are_read_at_once_as_one_by_one(engine):
    made = {f"1.2.1.{n}": instance(f"1.2.1.{n}", frames=n) for n in (1, 2, 3)}
    index_image_set(engine, document("1.2", {"1.2.1": made}, name="a"), version=1)
    index_image_set(engine, simple("1.3", "b"), version=1)
    reader, fresh = IndexReader(engine, cache_seconds=60), IndexReader(engine, cache_seconds=0)
    keys = [key for one in fresh.series_instances("1.2", "1.2.1") for key in (f.key for f in one.frames)]
    one_by_one = [fresh.image_set_of_frame(*key) for key in keys]
    assert [reader.image_set_of_frame(*key) for key in keys[:4]] == one_by_one[:4]
    remove_image_set(engine, STORE, hex_id("a"))
    assert [reader.image_set_of_frame(*key) for key in keys] == one_by_one
    assert [one and one.key for one in one_by_one] == keys
    assert fresh.image_set_of_frame(*keys[0]) is None
    assert reader.image_set_of_frame(STORE, hex_id("a"), hex_id("frame", "1.3.1.1", 0)) is None
