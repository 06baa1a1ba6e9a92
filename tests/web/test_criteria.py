"""What SearchImageSets may be asked (healthimaging.md 1.2, 1.3)."""

import orjson
import pytest
from werkzeug.datastructures import MultiDict

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.web.criteria import parse_criteria, parse_page

FILTER = {"operator": "EQUAL", "values": [{"DICOMPatientId": "P1"}]}


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        {"filters": [FILTER]},
        {"filters": [FILTER], "sort": {"sortField": "updatedAt", "sortOrder": "ASC"}},
    ],
)
def test_criteria_go_through(criteria):
    assert orjson.loads(parse_criteria(orjson.dumps(criteria))) == criteria


def test_no_body_is_no_criteria():
    assert parse_criteria(b"") == b"{}"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"no json",
        b'"x"',
        b'{"searchCriteria": {}}',
        b'{"filters": {}}',
        b'{"filters": [3]}',
        b'{"filters": [{"operator": "EQUAL"}]}',
        b'{"filters": [{"values": [], "more": 1}]}',
        b'{"sort": "updatedAt"}',
        b'{"sort": {"by": 1}}',
    ],
)
def test_anything_else_is_refused(body):
    with pytest.raises(InvalidRequest):
        parse_criteria(body)


def test_criteria_are_bounded():
    with pytest.raises(PayloadTooLarge):
        parse_criteria(b" " * (1 << 17))


def test_pages():
    assert parse_page(MultiDict()) == (None, None)
    assert parse_page(MultiDict({"maxResults": "50", "nextToken": "a/+="})) == (50, "a/+=")


@pytest.mark.parametrize(
    "args",
    [
        [("maxResults", "0")],
        [("maxResults", "51")],
        [("maxResults", "-1")],
        [("maxResults", "٣")],
        [("maxResults", "1"), ("maxResults", "1")],
        [("nextToken", "")],
        [("nextToken", "a\r\nX: y")],
        [("nextToken", "ü")],
        [("nextToken", "x" * 17_000)],
    ],
)
def test_junk_pages_are_refused_by_name(args):
    with pytest.raises(InvalidRequest, match=args[0][0]):
        parse_page(MultiDict(args))
