"""What SearchImageSets may be asked: criteria and pages (healthimaging.md 1.2, 1.3)."""

from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.wado.found_sets import MOST_RESULTS
from dicomweb_gateway.web.requests import single

_MOST_BYTES = 1 << 16
_LONGEST_TOKEN = 16_384
"""One of ours holds one of HealthImaging's, which has up to 8,192 characters."""


def parse_criteria(body: bytes) -> bytes:
    """The criteria as JSON of ours; InvalidRequest for anything but filters and sort, PayloadTooLarge.

    What stands in a filter is HealthImaging's business.
    """
    if len(body) > _MOST_BYTES:
        raise PayloadTooLarge(f"search criteria of more than {_MOST_BYTES} bytes")
    try:
        found: Any = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body must be a JSON object with filters and sort") from None
    if not isinstance(found, dict) or not found.keys() <= {"filters", "sort"}:
        raise InvalidRequest("the body must be a JSON object with filters and sort, and nothing else")
    filters, sort = found.get("filters"), found.get("sort")
    if filters is not None and not (isinstance(filters, list) and all(map(_is_filter, filters))):
        raise InvalidRequest("filters must be a list of objects with values and operator")
    if sort is not None and not _is_object(sort, {"sortField", "sortOrder"}):
        raise InvalidRequest("sort must be an object with sortField and sortOrder")
    return orjson.dumps(found)


def parse_page(args: MultiDict[str, str]) -> tuple[int | None, str | None]:
    """maxResults and nextToken, None where they are not given; InvalidRequest names a junk value."""
    most, token = single(args, "maxResults"), single(args, "nextToken")
    if token is not None and not (
        0 < len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()
    ):
        raise InvalidRequest(f"nextToken must be 1 to {_LONGEST_TOKEN} ASCII characters")
    if most is None:
        return None, token
    if not (most.isascii() and most.isdigit() and len(most) < 4 and 1 <= int(most) <= MOST_RESULTS):
        raise InvalidRequest(f"maxResults must be a number from 1 to {MOST_RESULTS}")
    return int(most), token


def _is_filter(one: Any) -> bool:
    return _is_object(one, {"values", "operator"}) and isinstance(one.get("values"), list)


def _is_object(value: Any, names: set[str]) -> bool:
    return isinstance(value, dict) and value.keys() <= names
