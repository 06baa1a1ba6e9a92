"""Bodies of requests that are JSON objects with known members."""

from collections.abc import Collection, Mapping
from typing import Any

import orjson
from flask import Request

from dicomweb_gateway.errors import InvalidRequest, UnsupportedMediaType


def json_object(request: Request, members: Collection[str]) -> Mapping[str, Any]:
    """The object in the body, which has none but `members`.

    InvalidRequest says what is wrong, UnsupportedMediaType: a form of another site's page is no JSON.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("the body must be application/json")
    try:
        found = orjson.loads(request.get_data(cache=False))
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body is not valid JSON") from None
    body = checked_object(found, "the body")
    unknown = sorted(set(body) - set(members))
    if unknown:
        raise InvalidRequest(f"{unknown[0][:64]!r} is none of the members {', '.join(sorted(members))}")
    return body


def checked_object(value: Any, name: str) -> Mapping[str, Any]:
    """`value`, which is called `name`; InvalidRequest unless it is an object."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be a JSON object")
    return value
