"""Paging of list answers: maxResults and opaque nextToken (healthimaging.md 1.3)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from dicomweb_gateway.emulator.errors import InvalidRequest

MAX_RESULTS = 50


def page_size(query: Mapping[str, str]) -> int:
    """`maxResults`, 1 to 50, 50 when absent."""
    text = query.get("maxResults", str(MAX_RESULTS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_RESULTS:
        raise InvalidRequest(f"maxResults must be a number from 1 to {MAX_RESULTS}")
    return int(text)


def page_offset(query: Mapping[str, str]) -> int:
    """How many entries `nextToken` has passed, 0 when absent."""
    token = query.get("nextToken")
    if token is None:
        return 0
    offset = read_token(token)
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise InvalidRequest("nextToken is not one of ours")
    return offset


def write_token(position: Any) -> str:
    """An opaque token that holds a JSON value."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode("ascii")


def read_token(token: str) -> Any:
    """What `write_token` was given; InvalidRequest for anything that it did not write."""
    try:
        return orjson.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("nextToken is not one of ours") from error
