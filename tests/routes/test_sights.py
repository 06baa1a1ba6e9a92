"""Two callers of one gateway: what one may see is neither shown nor handed on to the other."""

import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from dicomweb_gateway.web.services import MOST_SIGHTS
from tests.routes.archive import CT, SR, STORE, STUDY, path_of
from tests.routes.test_data_stores import PATHS

STUDY_PATH = f"/aetitle/studies/{STUDY}"
HIDDEN = [path for path in PATHS if path.startswith(path_of(CT))]


def of(modality):
    return Sight((Grant(None, (("Modality", (modality,)),)),))


@pytest.fixture(scope="module")
def client(house):
    """`client(sight)`: somebody who sees that."""
    apps = {}

    def get(sight):
        if sight not in apps:
            apps[sight] = create_app(house.services.seen_by(sight))
        return apps[sight].test_client()

    return get


def tlm(house, client):
    key = house.key(CT)
    address = f"/datastore/{key.datastore_id}/imageSet/{key.image_set_id}/getImageFrame"
    return client.get(f"{address}?imageFrameId={key.frame_id}")


@pytest.mark.parametrize("sight", [of("SR"), NOTHING, EVERYTHING.within(frozenset({"e" * 32}))], ids=str)
@pytest.mark.parametrize("path", HIDDEN)
def test_what_another_caller_has_just_read_stays_hidden(house, client, path, sight):
    for _ in range(2):
        assert client(EVERYTHING).get(path).status_code == 200
        assert client(of("CT")).get(path).status_code == 200
        hidden = client(sight).get(path)
        unknown = client(sight).get(path.replace(CT, f"{STUDY}.99"))
        assert (
            (hidden.status_code, hidden.mimetype)
            == (unknown.status_code, unknown.mimetype)
            == (404, unknown.mimetype)
        )
        assert {*hidden.headers.keys()} == {*unknown.headers.keys()}
    assert tlm(house, client(EVERYTHING)).status_code == 200
    assert tlm(house, client(sight)).status_code == 404


@pytest.mark.parametrize("path", [f"{STUDY_PATH}/metadata", STUDY_PATH])
def test_answers_about_a_study_are_kept_apart(client, path):
    answers = {}
    for _ in range(3):
        for sight in (EVERYTHING, of("CT"), of("SR")):
            answer = client(sight).get(path)
            assert answer.status_code == 200
            answers.setdefault(sight, answer.get_data())
            assert answer.headers["ETag"]
    tags = {sight: client(sight).get(path).headers["ETag"] for sight in answers}
    assert client(of("SR")).get(path, headers={"If-None-Match": tags[of("CT")]}).status_code == 200
    assert client(of("SR")).get(path, headers={"If-None-Match": tags[of("SR")]}).status_code == 304
    assert answers[of("CT")] != answers[of("SR")]


def test_metadata_of_a_study_hold_what_is_seen(client):
    for sight, series in ((of("CT"), {CT}), (of("SR"), {SR})):
        for _ in range(3):
            rows = client(sight).get(f"{STUDY_PATH}/metadata").get_json()
            assert {row["0020000E"]["Value"][0] for row in rows} >= series
            assert {row["00080060"]["Value"][0] for row in rows} == {sight.grants[0].wanted[0][1][0]}


def test_the_answer_about_one_instance_is_the_same_for_all_who_see_it(client):
    path = f"{path_of(CT, 1)}/metadata"
    mine, theirs = client(EVERYTHING).get(path), client(of("CT")).get(path)
    assert (mine.headers["ETag"], mine.get_data()) == (theirs.headers["ETag"], theirs.get_data())


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_lists_and_totals_hold_what_is_seen(client, level):
    for sight in (EVERYTHING, of("CT"), NOTHING):
        answer = client(sight).get(f"/aetitle/{level}?totalcount=true&includefield=Modality")
        rows = answer.get_json()
        assert bool(rows) == (sight is not NOTHING)
        if sight == of("CT"):
            told = "00080061" if level == "studies" else "00080060"
            assert {one for row in rows for one in row[told]["Value"]} == {"CT"}
        assert int(answer.headers["X-Total-Count"]) == len(rows)


def test_services_are_bound_once_to_a_sight_and_share_all_but_index_and_search(house):
    services = house.services
    seen = services.seen_by(of("CT"))
    assert services.seen_by(of("CT")) is seen
    assert seen.archive.frames is services.archive.frames
    assert seen.archive.documents is services.archive.documents
    assert seen.failures is services.failures
    assert seen.archive.index.sight == of("CT")
    for number in range(MOST_SIGHTS + 1):
        services.seen_by(of(f"X{number}"))
    assert services.seen_by(of("CT")) is not seen


def test_what_is_bound_cannot_be_bound_to_more(house):
    seen = house.services.seen_by(of("SR")).seen_by(EVERYTHING)
    app = create_app(seen)
    assert app.test_client().get(path_of(CT, 1)).status_code == 404
    assert (
        create_app(house.services.seen_by(EVERYTHING.within(frozenset({STORE}))))
        .test_client()
        .get(path_of(CT, 1))
        .status_code
        == 200
    )
