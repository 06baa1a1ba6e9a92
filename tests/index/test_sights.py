"""Every look-up of a caller who may not see all; what is kept in memory serves callers of all sights."""

import re
from contextlib import suppress

import pytest
from sqlalchemy import event

from dicomweb_gateway.errors import ResourceGone, ResourceNotFound
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from tests.index.documents import document, hex_id, instance

A, B = "a" * 32, "b" * 32
ISSUER = {"IssuerOfPatientID": "north"}


def only(stores=None, **wanted):
    return Sight((Grant(stores and frozenset(stores), tuple((key, (one,)) for key, one in wanted.items())),))


CT = only(Modality="CT")
NORTH = only(IssuerOfPatientID="n?rth")
FIRST = only({A})
HIDING = {
    # what is hidden of study 1.1 (CT and SR, both in A) or of others: a sight, and the paths that it hides
    "a series of a visible study": (CT, [("1.1", "1.1.2", "1.1.2.1")]),
    "a study": (NORTH, [("1.2", "1.2.1", "1.2.1.1")]),
    "a data store": (FIRST, [("1.3", "1.3.1", "1.3.1.1")]),
    "another patient's part": (NORTH, [("1.4", "1.4.2", "1.4.2.1")]),
    "everything": (NOTHING, [("1.1", "1.1.1", "1.1.1.1"), ("1.4", "1.4.1", "1.4.1.1")]),
}


def put(engine, study, series, store=A, modality="CT", patient=None, **flags):
    made = {f"{series}.{n}": instance(f"{series}.{n}", InstanceNumber=str(n)) for n in (1, 2)}
    tags = {"Modality": modality, "SeriesNumber": series[-1]}
    one = document(study, {series: made}, name=series, store=store, patient=patient, series_tags=tags)
    index_image_set(engine, one, version=1, **flags)


@pytest.fixture
def filled(engine):
    put(engine, "1.1", "1.1.1", patient=ISSUER)
    put(engine, "1.1", "1.1.2", modality="SR", patient=ISSUER)
    put(engine, "1.2", "1.2.1")
    put(engine, "1.3", "1.3.1", store=B, patient=ISSUER)
    put(engine, "1.4", "1.4.1", patient=ISSUER)
    put(engine, "1.4", "1.4.2", patient={"PatientID": "P2", "PatientName": "Roe"}, is_primary=True)
    return engine


@pytest.fixture
def source():
    return None


class NoSource:
    """HealthImaging, of which nothing is asked."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} is asked of HealthImaging")


@pytest.fixture
def reader(filled, source):
    """Everything was looked up before, so that all that can be kept is kept."""
    reader = IndexReader(filled, 3600, source)
    reader.seen_by(CT)
    for study in ("1.1", "1.2", "1.3", "1.4"):
        for record in list(reader.study_instances(study)):
            reader.instance(study, record.series_uid, record.instance_uid)
            key = record.frames[0].key
            assert reader.image_set_of_frame(*key) == record.frames[0]
        reader.last_change(study)
    return reader


@pytest.fixture
def statements(filled):
    """The SELECTs of the engine so far."""
    found: list[str] = []

    def note(connection, cursor, statement, *rest):
        if statement.lstrip().upper().startswith("SELECT"):
            found.append(statement)

    event.listen(filled, "before_cursor_execute", note)
    yield found
    event.remove(filled, "before_cursor_execute", note)


def asks(reader, study, series, uid):
    """All look-ups that a path leads to."""
    return [
        lambda: reader.instance(study, series, uid),
        lambda: reader.series_instances(study, series),
        lambda: list(reader.outlines(study, series)),
        lambda: reader.image_sets(study, series),
        lambda: reader.last_change(study, series),
    ]


@pytest.mark.parametrize("hidden", HIDING)
def test_what_is_hidden_is_not_found(reader, hidden):
    sight, paths = HIDING[hidden]
    seen = reader.seen_by(sight)
    for study, series, uid in paths:
        frame = reader.instance(study, series, uid).frames[0]
        for ask, open_ask in zip(
            asks(seen, study, series, uid), asks(reader, study, series, uid), strict=True
        ):
            open_ask()
            with pytest.raises(ResourceNotFound):
                ask()
        assert seen.image_set_of_frame(*frame.key) is None
        assert reader.image_set_of_frame(*frame.key) == frame
        with pytest.raises(ResourceNotFound):
            seen.image_set_shown(frame.key.datastore_id, frame.key.image_set_id)
        reader.image_set_shown(frame.key.datastore_id, frame.key.image_set_id)


def test_of_a_visible_study_the_rest_is_shown(reader):
    seen = reader.seen_by(CT)
    assert seen.study_series("1.1") == ["1.1.1"]
    assert {one.series_uid for one in seen.study_instances("1.1")} == {"1.1.1"}
    assert {one.series_uid for one in seen.outlines("1.1")} == {"1.1.1"}
    assert [ref.image_set_id for ref in seen.image_sets("1.1")] == [hex_id("1.1.1")]
    assert seen.first_series_with_images("1.1") == "1.1.1"
    assert reader.seen_by(only(Modality="SR")).first_series_with_images("1.1") == "1.1.2"
    assert seen.counts() == {"studies": 4, "series": 5, "instances": 10}
    assert reader.counts() == {"studies": 4, "series": 6, "instances": 12}
    assert reader.seen_by(NOTHING).counts() == {"studies": 0, "series": 0, "instances": 0}


def test_a_bound_reader_is_never_bound_to_more(reader):
    seen = reader.seen_by(FIRST).seen_by(EVERYTHING).seen_by(CT)
    for path in (("1.3", "1.3.1", "1.3.1.1"), ("1.1", "1.1.2", "1.1.2.1")):
        with pytest.raises(ResourceNotFound):
            seen.instance(*path)
    assert seen.instance("1.1", "1.1.1", "1.1.1.1").series_uid == "1.1.1"


def test_what_is_kept_costs_no_sql_whoever_asks(reader, statements):
    path = ("1.1", "1.1.1", "1.1.1.1")
    for sight in (EVERYTHING, CT, NORTH, FIRST, only({A}, Modality="C*", PatientID="P1")):
        seen = reader.seen_by(sight)
        record = seen.instance(*path)
        assert seen.image_set_of_frame(*record.frames[0].key) == record.frames[0]
    assert statements == []


def test_what_nobody_judged_is_judged_at_the_first_look(filled, statements):
    """Records that were kept before anybody was restricted tell too little, and are read once more."""
    reader = IndexReader(filled, 3600)
    record = reader.instance("1.1", "1.1.1", "1.1.1.1")
    reader.image_set_of_frame(*record.frames[0].key)
    seen = reader.seen_by(CT)
    for _ in range(2):
        assert seen.instance("1.1", "1.1.1", "1.1.1.1") == record
        assert seen.image_set_of_frame(*record.frames[0].key) == record.frames[0]
        first, statements[:] = list(statements), []
    assert first == []


@pytest.mark.parametrize("source", [None, NoSource()], ids=["ours", "with the Lambda's tables"])
@pytest.mark.parametrize("hidden", HIDING)
def test_hidden_and_unknown_things_cost_the_same_look_ups(reader, statements, hidden):
    """However often they are asked for, and whether or not the Lambda's tables are looked at too."""
    sight, paths = HIDING[hidden]
    study, series, uid = paths[0]
    seen = reader.seen_by(sight)
    frame = reader.instance(study, series, uid).frames[0].key

    def cost(ask, *args):
        statements.clear()
        with suppress(ResourceNotFound):
            assert ask(*args) is None
        # of how many things a row may be told makes no difference
        return [re.sub(r", (?:%\(\w+\)s|\?)", "", statement) for statement in statements]

    for _ in range(6):
        for hides, lacks in zip(
            asks(seen, study, series, uid), asks(seen, "1.9", "1.9.1", "1.9.1.1"), strict=True
        ):
            assert cost(hides) == cost(lacks)
        frame_cost = cost(seen.image_set_of_frame, *frame)
        for lacking in (frame._replace(frame_id="f" * 32), frame._replace(image_set_id="f" * 32)):
            assert frame_cost == cost(seen.image_set_of_frame, *lacking)
        unknown = cost(seen.image_set_shown, frame.datastore_id, "f" * 32)
        assert cost(seen.image_set_shown, frame.datastore_id, frame.image_set_id) == unknown


def test_nothing_is_gone_for_who_may_not_see_all(filled):
    remove_image_set(filled, A, hex_id("1.2.1"))
    reader = IndexReader(filled)
    with pytest.raises(ResourceGone):
        reader.instance("1.2", "1.2.1", "1.2.1.1")
    for sight in (NORTH, FIRST, CT):
        with pytest.raises(ResourceNotFound) as raised:
            reader.seen_by(sight).instance("1.2", "1.2.1", "1.2.1.1")
        assert not isinstance(raised.value, ResourceGone)


def test_a_whole_image_set_is_for_those_who_see_all_of_its_series(engine):
    both = {uid: {f"{uid}.1": instance(f"{uid}.1")} for uid in ("1.2.1", "1.2.2")}
    made = document("1.2", both, name="both", store=A, patient=ISSUER)
    index_image_set(engine, made, version=1)
    put(engine, "1.3", "1.3.1", modality="MR")
    reader = IndexReader(engine)
    sets = [hex_id("both"), hex_id("1.3.1"), hex_id("none")]
    wanted = {
        EVERYTHING: sets[:2],
        CT: sets[:1],
        NORTH: sets[:1],
        FIRST: sets[:2],
        only({B}): [],
        NOTHING: [],
    }
    for sight, shown in wanted.items():
        assert reader.seen_by(sight).image_sets_shown(A, sets) == set(shown)
    assert reader.seen_by(CT).sees_document(made)
    assert not reader.seen_by(only(Modality="MR")).sees_document(made)
    assert not reader.seen_by(only({B})).sees_document(made)


def searched(engine, sight, level, text="", **scope):
    pairs = [tuple(one.split("=", 1)) for one in text.split("&") if one]
    result = IndexSearch(engine).seen_by(sight)(parse_query(level, [*pairs, ("totalcount", "true")], **scope))
    assert result.total == len(result.rows)
    return result.rows


def values(row, *tags):
    return tuple((row[tag].get("Value") or [None])[0] if tag in row else None for tag in tags)


def test_numbers_and_modalities_are_of_what_is_shown(filled):
    (row,) = searched(filled, CT, "study", "StudyInstanceUID=1.1")
    assert values(row, "00201206", "00201208") == (1, 2)
    assert row["00080061"]["Value"] == ["CT"]
    assert searched(filled, CT, "study", "StudyInstanceUID=1.1&ModalitiesInStudy=SR") == []
    assert searched(filled, CT, "study", "StudyInstanceUID=1.1&NumberOfStudyRelatedSeries=2") == []
    assert len(searched(filled, CT, "study", "StudyInstanceUID=1.1&NumberOfStudyRelatedSeries=1")) == 1
    (row,) = searched(filled, EVERYTHING, "study", "StudyInstanceUID=1.1")
    assert (values(row, "00201206", "00201208"), row["00080061"]["Value"]) == ((2, 4), ["CT", "SR"])


@pytest.mark.parametrize(
    ("sight", "patient"),
    [(EVERYTHING, "P2"), (NORTH, "P1"), (only(PatientID="P2"), "P2"), (only(PatientID="*"), "P2")],
)
def test_of_two_patients_that_one_is_shown_who_may_be(filled, sight, patient):
    (row,) = searched(filled, sight, "study", "StudyInstanceUID=1.4")
    assert row["00100020"]["Value"] == [patient]
    everything = sight == EVERYTHING or sight == only(PatientID="*")
    assert values(row, "00201206") == (2 if everything else 1,)
    rows = searched(filled, sight, "series", study_uid="1.4")
    expected = {"P1": ["1.4.1"], "P2": ["1.4.2"]}[patient]
    assert [one["0020000E"]["Value"][0] for one in rows] == (["1.4.1", "1.4.2"] if everything else expected)
    found = searched(filled, sight, "study", f"PatientID={patient}&StudyInstanceUID=1.4")
    assert len(found) == 1


def test_a_series_of_two_patients_shows_the_one_who_may_be_seen(engine):
    for name, number, patient, flags in (
        ("x", 1, {**ISSUER, "PatientID": "P1"}, {}),
        ("y", 2, {"PatientID": "P2"}, {"is_primary": True}),
    ):
        made = {f"1.2.1.{number}": instance(f"1.2.1.{number}")}
        tags = {"SeriesDescription": f"of {patient['PatientID']}"}
        one = document("1.2", {"1.2.1": made}, name=name, patient=patient, series_tags=tags)
        index_image_set(engine, one, version=1, **flags)
    for sight, told, number in ((EVERYTHING, "of P2", 2), (NORTH, "of P1", 1)):
        (row,) = searched(engine, sight, "series", "includefield=SeriesDescription", study_uid="1.2")
        assert values(row, "0008103E", "00201209") == (told, number)


@pytest.mark.parametrize("length", [255, 256, 300])
def test_what_may_be_cut_is_shown_to_nobody_by_it(engine, length):
    text = "x" * length
    tags = {"SeriesDescription": text}
    made = document("1.2", {"1.2.1": {"1.2.1.1": instance("1.2.1.1")}}, series_tags=tags)
    index_image_set(engine, made, version=1)
    reader = IndexReader(engine, 3600)
    for pattern in ("x*", text, text[:256], "*"):
        sight = only(SeriesDescription=pattern)
        found = searched(engine, sight, "series")
        assert len(found) == (1 if length == 255 else 0)
        if found:
            reader.seen_by(sight).instance("1.2", "1.2.1", "1.2.1.1")
        else:
            with pytest.raises(ResourceNotFound):
                reader.seen_by(sight).instance("1.2", "1.2.1", "1.2.1.1")
