"""One instance that two image sets give: who sees both sees each once, unmixed.

Each is of another patient, or says another institution of the same series, which access rules can ask for.
"""

from datetime import datetime

import orjson
import pytest
from sqlalchemy import func, select

from dicomweb_gateway.errors import ResourceNotFound
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight
from tests.index.documents import STORE, document, hex_id, instance

STUDY, SERIES = "1.2", "1.2.1"
NAMES = ("NORTH", "SOUTH")
SIGHTS = {
    differ: {
        name: Sight((Grant(None, ((keyword, values),)),))
        for name, values in (*((one, (one,)) for one in NAMES), ("BOTH", NAMES))
    }
    for differ, keyword in (("patients", "IssuerOfPatientID"), ("institutions", "InstitutionName"))
}


def put(engine, name, numbers, *, is_primary, differ):
    made = {f"{SERIES}.{n}": instance(f"{SERIES}.{n}", InstanceNumber=str(n)) for n in numbers}
    patient = {"PatientID": f"P-{name}", "IssuerOfPatientID": name} if differ == "patients" else {}
    words = {"SeriesDescription": f"of {name}", "InstitutionName": name}
    found = document(STUDY, {SERIES: made}, name=name, patient=patient, series_tags=words)
    index_image_set(engine, found, version=1, is_primary=is_primary, updated_at=datetime(2024, 1, 1))


@pytest.fixture(params=SIGHTS)
def differ(request):
    """What tells the two apart."""
    return request.param


@pytest.fixture(params=["main first", "main last"])
def doubled(request, engine, differ):
    """1 and 2 of NORTH, which is primary; 1 and 3 of SOUTH."""
    writes = [
        lambda: put(engine, "NORTH", (1, 2), is_primary=True, differ=differ),
        lambda: put(engine, "SOUTH", (1, 3), is_primary=False, differ=differ),
    ]
    for write in writes if request.param == "main first" else reversed(writes):
        write()
    return engine


SEEN = [
    ("ALL", {1: "NORTH", 2: "NORTH", 3: "SOUTH"}),
    ("NORTH", {1: "NORTH", 2: "NORTH"}),
    ("SOUTH", {1: "SOUTH", 3: "SOUTH"}),
]


def sight_of(who, differ):
    return SIGHTS[differ].get(who, EVERYTHING)


def given(records):
    return {int(one.instance_uid.rpartition(".")[2]): one.image_set.image_set_id for one in records}


@pytest.mark.parametrize("order", [SEEN, SEEN[::-1], [SEEN[2], SEEN[0], SEEN[1]]])
def test_each_caller_is_led_to_what_they_see_whoever_asked_before(doubled, differ, order):
    reader = IndexReader(doubled, 3600)
    for who, held in [*order, *order]:
        seen = reader.seen_by(sight_of(who, differ))
        wanted = {number: hex_id(name) for number, name in held.items()}
        for _ in range(4):
            for number in (1, 2, 3):
                path = STUDY, SERIES, f"{SERIES}.{number}"
                if number in held:
                    assert given([seen.instance(*path)]) == {number: wanted[number]}
                else:
                    with pytest.raises(ResourceNotFound):
                        seen.instance(*path)
        assert given(seen.series_instances(STUDY, SERIES)) == wanted
        assert given(seen.outlines(STUDY, SERIES)) == wanted
        assert given(seen.study_instances(STUDY)) == wanted
        assert seen.counts() == {"studies": 1, "series": 1, "instances": len(held)}


@pytest.mark.parametrize(("who", "held"), [*SEEN, ("BOTH", SEEN[0][1])])
def test_searches_find_each_once_and_count_it_once(doubled, differ, who, held):
    search = IndexSearch(doubled).seen_by(sight_of(who, differ))

    def found(level, *pairs):
        result = search(parse_query(level, [("totalcount", "true"), ("includefield", "all"), *pairs]))
        assert result.total == len(result.rows)
        return result.rows

    rows = found("instance")
    assert [int(row["00200013"]["Value"][0]) for row in rows] == sorted(held)
    for row in rows:
        name = held[int(row["00200013"]["Value"][0])]
        told = orjson.dumps(row).decode()
        assert (f'"P-{name}"' in told) == (differ == "patients")
        assert f'"of {name}"' in told
        assert all(other not in told for other in {"NORTH", "SOUTH"} - {name})
    assert [row["00201209"]["Value"] for row in found("series")] == [[len(held)]]
    for number in range(1, 4):
        same = found("series", ("NumberOfSeriesRelatedInstances", str(number)))
        assert len(same) == (number == len(held))
    assert [row["00201208"]["Value"] for row in found("study")] == [[len(held)]]
    assert len(found("study", ("NumberOfStudyRelatedInstances", str(len(held))))) == 1
    assert len(found("instance", ("SOPInstanceUID", f"{SERIES}.1"))) == 1


def test_what_is_left_serves_all(doubled, differ):
    remove_image_set(doubled, STORE, hex_id("NORTH"))
    reader = IndexReader(doubled)
    assert given(reader.series_instances(STUDY, SERIES)) == dict.fromkeys((1, 3), hex_id("SOUTH"))
    with pytest.raises(ResourceNotFound):
        reader.seen_by(sight_of("NORTH", differ)).study_series(STUDY)


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
def test_one_that_comes_to_say_what_the_other_says_is_no_longer_apart(engine, order):
    """And one that comes to contradict it is; whichever is indexed again."""
    for name in NAMES:
        put(
            engine,
            name,
            (1, 2) if name == "NORTH" else (1, 3),
            is_primary=name == "NORTH",
            differ="institutions",
        )
    reader, by = IndexReader(engine, 0), SIGHTS["institutions"]
    for says, version in (("NORTH", 2), ("SOUTH", 3), ("EAST", 4), ("SOUTH", 5)):
        made = {f"{SERIES}.{n}": instance(f"{SERIES}.{n}", InstanceNumber=str(n)) for n in (1, 3)}
        found = document(STUDY, {SERIES: made}, name="SOUTH", series_tags={"InstitutionName": says})
        index_image_set(engine, found, version=version)
        for name in order:
            words = {"InstitutionName": "NORTH" if name == "NORTH" else says}
            numbers = (1, 2) if name == "NORTH" else (1, 3)
            made = {f"{SERIES}.{n}": instance(f"{SERIES}.{n}", InstanceNumber=str(n)) for n in numbers}
            again = document(STUDY, {SERIES: made}, name=name, series_tags=words)
            index_image_set(engine, again, version=1 if name == "NORTH" else version)
        seen = {
            name: given(seen.series_instances(STUDY, SERIES)) if exists(seen) else {}
            for name, sight in by.items()
            for seen in [reader.seen_by(sight)]
        }
        north, south = hex_id("NORTH"), hex_id("SOUTH")
        all_of_both = {1: north, 2: north, 3: south}
        assert seen["NORTH"] == (all_of_both if says == "NORTH" else {1: north, 2: north})
        assert seen["SOUTH"] == ({1: south, 3: south} if says == "SOUTH" else {})
        assert given(reader.series_instances(STUDY, SERIES)) == all_of_both


def exists(reader):
    try:
        return bool(reader.study_series(STUDY))
    except ResourceNotFound:
        return False


def test_the_tables_of_aws_have_the_better_one(doubled):
    """They know one row for each UID."""
    query = select(aws.instance.c.sopinstanceuid, aws.imageset.c.imagesetid).join(
        aws.imageset, aws.imageset.c.imageset_pkey == aws.instance.c.imageset_pkey
    )
    with doubled.connect() as connection:
        rows = dict(map(tuple, connection.execute(query)))
        number = connection.execute(select(func.count()).select_from(aws.instance)).scalar_one()
        counted = connection.execute(select(aws.series.c.numberofseriesrelatedinstances)).scalars().all()
    assert rows == {f"{SERIES}.{number}": hex_id(name) for number, name in SEEN[0][1].items()}
    assert number == 3
    assert counted == [3]
