"""One instance that two image sets give, each of another patient: who sees both sees each once, unmixed."""

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
NORTH, SOUTH = (Sight((Grant(None, (("IssuerOfPatientID", (one,)),)),)) for one in ("NORTH", "SOUTH"))


def put(engine, name, numbers, *, is_primary):
    made = {f"{SERIES}.{n}": instance(f"{SERIES}.{n}", InstanceNumber=str(n)) for n in numbers}
    patient = {"PatientID": f"P-{name}", "IssuerOfPatientID": name}
    words = {"SeriesDescription": f"of {name}"}
    found = document(STUDY, {SERIES: made}, name=name, patient=patient, series_tags=words)
    index_image_set(engine, found, version=1, is_primary=is_primary, updated_at=datetime(2024, 1, 1))


@pytest.fixture(params=["main first", "main last"])
def doubled(request, engine):
    """1 and 2 of NORTH, which is primary; 1 and 3 of SOUTH."""
    writes = [
        lambda: put(engine, "NORTH", (1, 2), is_primary=True),
        lambda: put(engine, "SOUTH", (1, 3), is_primary=False),
    ]
    for write in writes if request.param == "main first" else reversed(writes):
        write()
    return engine


SEEN = [
    (EVERYTHING, {1: "NORTH", 2: "NORTH", 3: "SOUTH"}),
    (NORTH, {1: "NORTH", 2: "NORTH"}),
    (SOUTH, {1: "SOUTH", 3: "SOUTH"}),
]


def given(records):
    return {int(one.instance_uid.rpartition(".")[2]): one.image_set.image_set_id for one in records}


@pytest.mark.parametrize("order", [SEEN, SEEN[::-1], [SEEN[2], SEEN[0], SEEN[1]]])
def test_each_caller_is_led_to_what_they_see_whoever_asked_before(doubled, order):
    reader = IndexReader(doubled, 3600)
    for sight, held in [*order, *order]:
        seen = reader.seen_by(sight)
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


@pytest.mark.parametrize(("sight", "held"), SEEN)
def test_searches_find_each_once_and_count_it_once(doubled, sight, held):
    search = IndexSearch(doubled).seen_by(sight)

    def found(level, *pairs):
        result = search(parse_query(level, [("totalcount", "true"), ("includefield", "all"), *pairs]))
        assert result.total == len(result.rows)
        return result.rows

    rows = found("instance")
    assert [int(row["00200013"]["Value"][0]) for row in rows] == sorted(held)
    for row in rows:
        name = held[int(row["00200013"]["Value"][0])]
        told = orjson.dumps(row).decode()
        assert f'"P-{name}"' in told
        assert f'"of {name}"' in told
        assert all(other not in told for other in {"NORTH", "SOUTH"} - {name})
    assert [row["00201209"]["Value"] for row in found("series")] == [[len(held)]]
    assert [row["00201208"]["Value"] for row in found("study")] == [[len(held)]]
    assert len(found("study", ("NumberOfStudyRelatedInstances", str(len(held))))) == 1
    assert len(found("instance", ("SOPInstanceUID", f"{SERIES}.1"))) == 1


def test_what_is_left_serves_all(doubled):
    remove_image_set(doubled, STORE, hex_id("NORTH"))
    reader = IndexReader(doubled)
    assert given(reader.series_instances(STUDY, SERIES)) == dict.fromkeys((1, 3), hex_id("SOUTH"))
    with pytest.raises(ResourceNotFound):
        reader.seen_by(NORTH).study_series(STUDY)


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
