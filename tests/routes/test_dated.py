"""Last-Modified and If-Modified-Since (dicomweb.md H-8)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.writer import IndexWriter
from tests.routes.archive import CT, JPEG, STUDY, build, hex_id, path_of

CHANGED = datetime(2026, 3, 11, 9, 30, 15, 700_000, tzinfo=UTC)
PATHS = [
    *(f"{path_of(CT, 1)}{tail}" for tail in ("", "/frames/1", "/metadata", "/rendered", "/thumbnail")),
    *(f"{path_of(CT, 1)}{tail}" for tail in ("/bulkdata/00091001", "/bulkdata/7FE00010", "/pixeldata")),
    *(f"{path_of(CT)}{tail}" for tail in ("", "/metadata", "/rendered", "/thumbnail", "/pixeldata")),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    house = build(tmp_path_factory.mktemp("dated"))
    document = parse_document(house.image_sets.documents[hex_id("set", CT)])
    IndexWriter(str(house.engine.url)).put(document, version=2, is_primary=True, updated_at=CHANGED)
    return house.app.test_client()


def ask(client, path, **headers):
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def http_date(seconds):
    return format_datetime((CHANGED + timedelta(seconds=seconds)).replace(microsecond=0), usegmt=True)


@pytest.mark.parametrize("path", PATHS)
def test_answers_tell_the_last_change_of_their_image_sets(client, path):
    with ask(client, path) as answer:
        assert answer.status_code == 200
        assert parsedate_to_datetime(answer.headers["Last-Modified"]) == CHANGED.replace(microsecond=0)


@pytest.mark.parametrize("path", PATHS)
def test_what_has_not_changed_since_is_304(client, path):
    for seconds in (0, 60):
        answer = ask(client, path, If_Modified_Since=http_date(seconds))
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"]
    with ask(client, path, If_Modified_Since=http_date(-1)) as answer:
        assert answer.status_code == 200


def test_a_tag_beats_the_date(client):
    path = f"{path_of(CT, 1)}/frames/1"
    with ask(client, path, If_Modified_Since=http_date(60), If_None_Match='"other"') as answer:
        assert answer.status_code == 200
    tag = ask(client, path).headers["ETag"]
    assert ask(client, path, If_Modified_Since=http_date(-60), If_None_Match=tag).status_code == 304


def test_a_range_has_the_date_and_is_no_304(client):
    answer = ask(client, f"{path_of(CT, 1)}/frames/1", Range="bytes=0-9", If_Modified_Since=http_date(60))
    assert (answer.status_code, len(answer.data)) == (206, 10)
    assert answer.headers["Last-Modified"] == http_date(0)


@pytest.mark.parametrize("text", ["yesterday", "", "0", "Wed, 99 Foo 2026 25:61:00 GMT"])
def test_no_date_is_no_condition(client, text):
    with ask(client, f"{path_of(CT, 1)}/frames/1", If_Modified_Since=text) as answer:
        assert answer.status_code == 200


def test_an_unknown_change_has_no_date(client):
    for path in (f"{path_of(JPEG, 1)}/frames/1", f"/aetitle/studies/{STUDY}/metadata"):
        with ask(client, path, If_Modified_Since=http_date(60)) as answer:
            assert answer.status_code == 200
            assert "Last-Modified" not in answer.headers


def test_errors_have_no_date(client):
    answer = ask(client, f"{path_of(CT, 1)}/frames/99", If_Modified_Since=http_date(60))
    assert answer.status_code == 404
    assert "Last-Modified" not in answer.headers
