"""Resolution levels by HealthImaging's own address (healthimaging.md 7.1; dicomweb.md F-11)."""

import pytest

from dicomweb_gateway.errors import (
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
)
from tests.routes.archive import CT, JPEG, jpeg_bytes


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
    "query", ["?startLevel=-1", "?startLevel=1.9", "?endLevel=x", "?startLevel=", "?endLevel=1e1"]
)
def test_junk_levels_are_400(ask, query):
    response = ask(query)
    assert response.status_code == 400
    assert "Level" in response.get_json()["message"]


def test_a_frame_kept_as_jpeg_comes_whole_and_has_no_levels(ask):
    assert ask(series=JPEG).get_data() == jpeg_bytes()
    assert ask("?startLevel=0", series=JPEG).status_code == 400


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b"[]", "application/json"),
        (b"not json", "text/plain"),
        (b'{"imageFrameId": 5}', "application/json"),
        (b'{"imageFrameId": "short"}', "application/json"),
        (b'{"imageFrameInformation": {}}', "application/json"),
    ],
)
def test_bodies_without_a_frame_id_are_400(house, data, kind):
    response = house.app.test_client().post(address(house.key(CT)), data=data, content_type=kind)
    assert response.status_code == 400
    assert response.get_json()["status"] == 400


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
        (UpstreamBusy("processing"), 503, "5"),
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
