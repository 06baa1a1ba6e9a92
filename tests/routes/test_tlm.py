"""Resolution levels by HealthImaging's own address (healthimaging.md 7.1; dicomweb.md F-11)."""

from functools import partial

import pytest

from dicomweb_gateway.errors import (
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
)
from dicomweb_gateway.tlm.levels import level_bounds
from tests.routes.archive import CT, JPEG, build, jpeg_bytes, lasting

MISSING = "Missing argument. Required: datastore ID, imageSet ID, image frame ID."


def address(key, query=""):
    return f"/datastore/{key.datastore_id}/imageSet/{key.image_set_id}/getImageFrame{query}"


@pytest.fixture
def ask(house):
    """`ask(query, series)`: the POST form with the body that AWS's viewer sends."""

    def post(query="", series=CT, body=None, **changed):
        key = house.key(series)._replace(**changed)
        return house.app.test_client().post(address(key, query), json=body or {"imageFrameId": key.frame_id})

    return post


@pytest.fixture
def frame(house):
    return house.frames.frames[house.key(CT)]


def test_both_bodies_and_get_give_the_whole_frame(house, ask, frame):
    key = house.key(CT)
    top = ask()
    inner = ask(body={"imageFrameInformation": {"imageFrameId": key.frame_id}})
    got = house.app.test_client().get(address(key, f"?imageFrameId={key.frame_id}"))
    for response in (top, inner, got):
        assert response.status_code == 200
        assert response.get_data() == frame
        assert response.content_type == "application/octet-stream"
        assert int(response.headers["Content-Length"]) == len(frame)
        assert "immutable" in response.headers["Cache-Control"]


def test_levels_put_together_are_the_frame(ask, frame):
    pieces = [ask(f"?startLevel={level}&endLevel={level}").get_data() for level in (0, 1)]
    assert all(pieces)
    assert b"".join(pieces) == frame
    assert ask("?endLevel=0").get_data() + ask("?startLevel=1").get_data() == frame
    assert ask("?startLevel=0&endLevel=1").get_data() == frame


@pytest.mark.parametrize(
    ("query", "slice_of"),
    [
        ("?startLevel=99", slice(0, 0)),
        ("?startLevel=1&endLevel=0", slice(0, 0)),
        ("?endLevel=99", slice(None)),
    ],
)
def test_levels_past_the_last(ask, frame, query, slice_of):
    response = ask(query)
    assert response.status_code == 200
    assert response.get_data() == frame[slice_of]


@pytest.mark.parametrize(
    "query",
    [
        "?startLevel=-1",
        "?startLevel=1.9",
        "?endLevel=x",
        "?startLevel=",
        "?endLevel=1e1",
        "?endLevel=99999999999999999999",
        "?startLevel=%D9%A3",
        "?startLevel=%C2%B2",
        "?endLevel=+0",
        "?endLevel=0%00",
    ],
)
def test_junk_levels_are_400(ask, query):
    response = ask(query)
    assert response.status_code == 400
    assert "Level" in response.get_json()["message"]


def test_a_frame_kept_as_jpeg_comes_whole_and_has_no_levels(ask):
    assert ask(series=JPEG).get_data() == jpeg_bytes()
    assert ask("?startLevel=0", series=JPEG).status_code == 400


KINDS = ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/jph", None]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"imageFrameInformation": {}}', b'{"imageFrameInformation": 3}', b'"x"']
)
@pytest.mark.parametrize("kind", KINDS)
def test_bodies_without_a_frame_id_are_400_in_plain_text(house, data, kind):
    response = house.app.test_client().post(address(house.key(CT)), data=data, content_type=kind)
    assert response.status_code == 400
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.get_data(as_text=True) == MISSING
    assert response.headers["x-amzn-ErrorType"] == "ValidationException"


def test_an_address_without_the_frame_id_is_the_same_400(house):
    response = house.app.test_client().get(address(house.key(CT)))
    assert (response.status_code, response.get_data(as_text=True)) == (400, MISSING)


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b'{"imageFrameId": 5}',
        b'{"imageFrameId": null}',
        b'{"imageFrameId": "short"}',
        b'{"imageFrameId": "a", "imageFrameInformation": {"imageFrameId": "b"}}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_bodies_that_make_no_sense_are_400(house, data):
    response = house.app.test_client().post(address(house.key(CT)), data=data, content_type=None)
    assert response.status_code == 400
    assert response.get_json()["status"] == 400
    assert response.headers["x-amzn-ErrorType"] == "ValidationException"


@pytest.mark.parametrize("kind", KINDS)
def test_no_content_type_keeps_a_body_from_being_read(house, frame, kind):
    key = house.key(CT)
    body = b'{"imageFrameId": "%s"}' % key.frame_id.encode()
    response = house.app.test_client().post(address(key), data=body, content_type=kind)
    assert (response.status_code, response.get_data()) == (200, frame)


def test_a_huge_body_is_413(house):
    response = house.app.test_client().post(address(house.key(CT)), data=b" " * (1 << 21))
    assert response.status_code == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(house, method):
    response = house.app.test_client().open(address(house.key(CT)), method=method)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_options_is_204(house):
    origin = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    response = house.app.test_client().options(address(house.key(CT)), headers=origin)
    assert (response.status_code, response.get_data()) == (204, b"")
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_head_tells_the_length(house, frame):
    key = house.key(CT)
    whole = house.app.test_client().head(address(key, f"?imageFrameId={key.frame_id}"))
    first = house.app.test_client().head(address(key, f"?imageFrameId={key.frame_id}&endLevel=0"))
    assert int(whole.headers["Content-Length"]) == len(frame)
    assert int(first.headers["Content-Length"]) == level_bounds(frame)[1]
    assert whole.get_data() == first.get_data() == b""


@pytest.mark.parametrize("query", ["", "&startLevel=0&endLevel=0", "&startLevel=1"])
def test_byte_ranges(house, ask, query):
    key = house.key(CT)
    get = partial(house.app.test_client().get, address(key, f"?imageFrameId={key.frame_id}{query}"))
    whole = get()
    part = get(headers={"Range": "bytes=10-29", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.get_data()) == (206, whole.get_data()[10:30])
    assert part.headers["Content-Range"] == f"bytes 10-29/{len(whole.get_data())}"
    assert get(headers={"Range": "bytes=-5"}).get_data() == whole.get_data()[-5:]
    outside = get(headers={"Range": "bytes=9999999-"})
    assert outside.status_code == 416
    assert outside.headers["Content-Range"] == f"bytes */{len(whole.get_data())}"
    other = get(headers={"Range": "bytes=10-29", "If-Range": '"of another"'})
    assert (other.status_code, other.get_data()) == (200, whole.get_data())
    assert ask(query.replace("&", "?", 1)).get_data() == whole.get_data()


def test_what_the_client_holds_matters_to_get_alone(ask, house):
    key = house.key(CT)
    answer = house.app.test_client().post(
        address(key), json={"imageFrameId": key.frame_id}, headers={"If-None-Match": "*"}
    )
    assert answer.status_code == 200


def test_a_repeated_parameter_is_400(house, ask):
    key = house.key(CT)
    assert ask("?startLevel=0&startLevel=1").status_code == 400
    twice = f"?imageFrameId={key.frame_id}&imageFrameId={key.frame_id}"
    assert house.app.test_client().get(address(key, twice)).status_code == 400


def test_level_0_is_kept_and_the_rest_is_cut_without_asking_for_more(fresh):
    fresh.services.archive.first_levels.__init__(1 << 20)
    key = fresh.key(CT)
    post = partial(fresh.app.test_client().post, json={"imageFrameId": key.frame_id})
    frame = fresh.frames.frames[key]
    answers = [post(address(key, "?startLevel=0&endLevel=0")) for _ in range(3)]
    assert {answer.get_data() for answer in answers} == {frame[: level_bounds(frame)[1]]}
    assert len({str(lasting(answer)) for answer in answers}) == 1
    assert fresh.frames.asked == [key]


@pytest.mark.parametrize(
    ("mode", "control", "named"),
    [
        ("private", "private, max-age=31536000, immutable", set()),
        ("per-caller", "public, max-age=31536000, immutable", {"Authorization", "Cookie", "token"}),
        ("shared", "public, max-age=31536000, immutable", set()),
    ],
)
def test_who_may_keep_a_frame(tmp_path, mode, control, named):
    house = build(tmp_path, cdn_caching=mode)
    key = house.key(CT)
    client = house.app.test_client()
    answer = client.get(address(key, f"?imageFrameId={key.frame_id}"))
    tag = {"If-None-Match": answer.headers["ETag"]}
    for one in (answer, client.get(address(key, f"?imageFrameId={key.frame_id}"), headers=tag)):
        assert one.headers["Cache-Control"] == control
        assert set(one.headers["Vary"].split(", ")) == {"Origin", *named}
    refused = client.get(address(key, "?imageFrameId=" + "0" * 32))
    assert refused.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "changed",
    [{"frame_id": "0" * 32}, {"image_set_id": "0" * 32}, {"datastore_id": "0" * 32}],
    ids=lambda c: next(iter(c)),
)
def test_a_frame_that_the_index_does_not_know_there_is_404(ask, changed):
    assert ask(**changed).status_code == 404


def test_malformed_ids_are_400(ask):
    assert ask(image_set_id="../../secret").status_code in (400, 404)
    assert ask(image_set_id="A" * 32).status_code == 400


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (UpstreamNotFound("gone"), 404, None),
        (UpstreamDenied("refused"), 403, None),
        (UpstreamThrottled("slow", retry_after=3), 429, "3"),
        (UpstreamBusy("processing", retry_after=2), 409, "2"),
        (UpstreamFailed("nonsense"), 502, None),
    ],
)
def test_healthimagings_own_statuses_on_its_own_address(fresh, error, status, retry_after):
    key = fresh.key(CT)
    fresh.frames.frames[key] = error
    response = fresh.app.test_client().post(address(key), json={"imageFrameId": key.frame_id})
    assert response.status_code == response.get_json()["status"] == status
    assert response.headers.get("Retry-After") == retry_after
    assert key.frame_id not in response.get_data(as_text=True)


def test_tags_follow_the_levels(ask, house):
    tags = [ask(query).headers["ETag"] for query in ("", "?startLevel=0", "?endLevel=0", "?endLevel=1")]
    assert len(set(tags)) == 4
    key = house.key(CT)
    known = house.app.test_client().get(
        address(key, f"?imageFrameId={key.frame_id}"), headers={"If-None-Match": tags[0]}
    )
    assert (known.status_code, known.get_data()) == (304, b"")
    assert "immutable" in known.headers["Cache-Control"]
