"""What a sight that wants attributes shows of what the AWS Lambda alone wrote: documents tell."""

import orjson
import pytest

from dicomweb_gateway.errors import ResourceNotFound, UpstreamFailed
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from tests.aws_index.conftest import filled_place, raw, slices
from tests.index.documents import STORE, hex_id


def only(**wanted):
    return Sight((Grant(None, tuple((key, (one,)) for key, one in wanted.items())),))


CT, MR = only(Modality="CT"), only(Modality="MR")
MODEL = only(ManufacturerModelName="Alpha")
NORTH = only(IssuerOfPatientID="north", PatientID="P?")


def sets():
    north = {"IssuerOfPatientID": "north"}
    return [
        raw("1.2", "a", slices("1.2.1", 1, 2), series={"ManufacturerModelName": "Alpha"}, patient=north),
        raw("1.2", "b", slices("1.2.2", 1), "1.2.2", series={"Modality": "MR"}, patient=north),
        raw("1.3", "c", slices("1.3.1", 1), series={"Modality": "MR", "ManufacturerModelName": "Alpha"}),
    ]


@pytest.fixture(scope="module", params=[True, False], ids=["with instance rows", "bare"])
def filled(request, mariadb_server):
    """Engine and HealthImaging, for tests that change nothing."""
    with filled_place(mariadb_server, sets(), lambda _: request.param) as place:
        yield place


def found(search, level, **scope):
    tag = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    result = search(parse_query(level, [("totalcount", "true")], **scope))
    assert result.total == len(result.rows)
    return sorted(row[tag]["Value"][0] for row in result.rows)


SHOWN = {
    "everything": (EVERYTHING, ["1.2.1", "1.2.2", "1.3.1"]),
    "nothing": (NOTHING, []),
    "CT": (CT, ["1.2.1"]),
    "MR": (MR, ["1.2.2", "1.3.1"]),
    "north": (NORTH, ["1.2.1", "1.2.2"]),
    "no issuer at all": (only(IssuerOfPatientID="*"), ["1.2.1", "1.2.2"]),
    "what the Lambda writes for none": (only(IssuerOfPatientID="DEFAULT_DOMAIN"), []),
    "another case": (only(Modality="ct"), []),
    "padded": (only(Modality="CT "), []),
    "two grants": (
        Sight(CT.grants + only(PatientID="P1", Modality="M*").grants),
        ["1.2.1", "1.2.2", "1.3.1"],
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_documents_judge(filled, name):
    engine, image_sets = filled
    sight, series = SHOWN[name]
    search = IndexSearch(engine, source=image_sets, latest_seconds=0).seen_by(sight)
    reader = IndexReader(engine, 0, image_sets, 0).seen_by(sight)
    assert found(search, "series") == series
    studies = sorted({uid[:3] for uid in series})
    assert found(search, "study") == studies
    instances = sorted(f"{uid}.{n}" for uid in series for n in ((1, 2) if uid == "1.2.1" else (1,)))
    assert found(search, "instance") == instances
    for one in ("1.2.1", "1.2.2", "1.3.1"):
        path = (one[:3], one, f"{one}.1")
        frame = (STORE, hex_id("abc"[("1.2.1", "1.2.2", "1.3.1").index(one)]), hex_id("frame", path[2], 0))
        asks = (
            lambda path=path: reader.instance(*path),
            lambda path=path: reader.series_instances(*path[:2]),
            lambda path=path: reader.image_sets(*path[:2]),
        )
        for ask in asks:
            if one in series:
                ask()
            else:
                with pytest.raises(ResourceNotFound):
                    ask()
        assert (reader.image_set_of_frame(*frame) is not None) == (one in series)
        assert reader.image_sets_shown(STORE, [frame[1]]) == ({frame[1]} if one in series else set())
    for study in studies:
        assert sorted(reader.study_series(study)) == [uid for uid in series if uid.startswith(study)]


def test_numbers_and_modalities_are_of_what_is_shown(filled):
    engine, image_sets = filled
    search = IndexSearch(engine, source=image_sets, latest_seconds=0).seen_by(MR)
    row = next(one for one in search(parse_query("study", [])).rows if one["0020000D"]["Value"] == ["1.2"])
    assert (row["00201206"]["Value"], row["00080061"]["Value"]) == ([1], ["MR"])
    assert found(search, "study") == ["1.2", "1.3"]


def test_what_no_column_holds_is_judged_too(image_sets, proxy_engine):
    for one in sets():
        image_sets.put(one)
    assert found(IndexSearch(proxy_engine, source=image_sets).seen_by(MODEL), "series") == ["1.2.1", "1.3.1"]
    assert found(IndexSearch(proxy_engine).seen_by(MODEL), "series") == []
    reader = IndexReader(proxy_engine, 0, image_sets, 0).seen_by(MODEL)
    assert reader.study_series("1.2") == ["1.2.1"]
    assert [one.instance_uid for one in reader.study_instances("1.2")] == ["1.2.1.1", "1.2.1.2"]
    with pytest.raises(ResourceNotFound):
        reader.instance("1.2", "1.2.2", "1.2.2.1")


def test_a_value_that_fills_its_column_is_judged_as_a_whole(image_sets, proxy_engine):
    number = "1" * 16
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1), study={"AccessionNumber": number}))
    for pattern in (number, "1*"):
        sight = only(AccessionNumber=pattern)
        search = IndexSearch(proxy_engine, source=image_sets).seen_by(sight)
        assert found(search, "study") == ["1.2"]
        IndexReader(proxy_engine, 0, image_sets, 0).seen_by(sight).instance("1.2", "1.2.1", "1.2.1.1")


def test_of_two_patients_in_one_row_documents_tell_who_is_who(image_sets, proxy_engine):
    """The row names the patient that was written last (flaw 11)."""
    image_sets.put(raw("1.2", "a", slices("1.2.1", 1)))
    image_sets.put(raw("1.2", "b", slices("1.2.2", 1), "1.2.2", patient={"PatientID": "P2"}))
    reader = IndexReader(proxy_engine, 0, image_sets, 0)
    for patient, series in (("P1", "1.2.1"), ("P2", "1.2.2")):
        seen = reader.seen_by(only(PatientID=patient))
        assert seen.study_series("1.2") == [series]
        assert [one.series_uid for one in seen.study_instances("1.2")] == [series]


def test_what_our_tables_hide_no_row_of_the_lambdas_shows(aws_url, image_sets):
    """Its row says what another image set of the series said, or nobody."""
    ours, other, _ = sets()
    upgrade(aws_url)
    engine = make_engine(aws_url)
    index_image_set(engine, parse_document(orjson.dumps(ours)), version=4)
    image_sets.put(ours)
    image_sets.put(other)
    image_sets.run("UPDATE series SET modality = 'MR'")
    image_sets.run(
        "INSERT INTO instance (series_pkey, sopinstanceuid, sopclassuid, imageset_pkey) "
        "SELECT series_pkey, '1.2.1.9', '1', imageset_pkey FROM instance WHERE sopinstanceuid = '1.2.1.1'"
    )
    everybody = IndexSearch(engine, source=image_sets, latest_seconds=0)
    search = everybody.seen_by(MR)
    assert found(search, "series") == ["1.2.2"]
    assert found(search, "series", study_uid="1.2") == ["1.2.2"]
    assert found(search, "instance", study_uid="1.2") == ["1.2.2.1"]
    (row,) = search(parse_query("study", [("StudyInstanceUID", "1.2")])).rows
    assert (row["00201206"]["Value"], row["00201208"]["Value"]) == ([1], [1])
    assert found(everybody.seen_by(CT), "instance") == ["1.2.1.1", "1.2.1.2"]
    engine.dispose()


@pytest.mark.parametrize("call", ["document", "properties"])
@pytest.mark.parametrize("sight", [MR, EVERYTHING.within(frozenset({STORE}))])
def test_what_cannot_be_read_now_is_an_error_and_no_shorter_list(
    aws_url, image_sets, monkeypatch, call, sight
):
    """Beside our tables and without: one image set fails, whose study nobody names, and is named."""
    for one in sets():
        image_sets.put(one)
    other = raw("1.9", "z", slices("1.9.1", 1), series={"Modality": "MR"})
    image_sets.put({**other, "DatastoreID": "f" * 32})
    engine = make_engine(aws_url)
    ask, broken = getattr(image_sets, call), hex_id("c")

    def answer(ref):
        if ref.image_set_id == broken:
            raise UpstreamFailed("it is ill")
        return ask(ref)

    for step in (lambda: None, lambda: upgrade(aws_url)):
        step()
        search = IndexSearch(engine, source=image_sets, latest_seconds=0).seen_by(sight)
        with monkeypatch.context() as patch:
            patch.setattr(image_sets, call, answer)
            for key in ([], [("StudyInstanceUID", "1.2,1.3")]):
                with pytest.raises(UpstreamFailed):
                    search(parse_query("study", key))
            assert search(parse_query("study", [("StudyInstanceUID", "1.2")])).total == 1
        assert found(search, "study") == ["1.2", "1.3", *(["1.9"] if sight is MR else [])]
    engine.dispose()
