"""Pages of image sets on the wire: which one a token asks for, and the answer (healthimaging.md 1.3)."""

from hashlib import sha256

import orjson
from flask import Request

from dicomweb_gateway.access.caller import ANYBODY
from dicomweb_gateway.wado.found_sets import FoundPage
from dicomweb_gateway.wado.kept_searches import PageStart
from dicomweb_gateway.web.client import known_caller
from dicomweb_gateway.web.services import Services


def page_start(token: str | None, gateway: Services, about: str) -> PageStart:
    """Where the page begins that `token` asks for, the first without one; InvalidRequest."""
    if token is None:
        return PageStart()
    following, skipped = orjson.loads(gateway.page_tokens.opened(token, about))
    return PageStart(following, skipped)


def page_body(page: FoundPage, gateway: Services, about: str) -> bytes:
    """The answer as JSON, with a token for the next page where there is one."""
    token = None
    if page.following is not None:
        token = gateway.page_tokens.seal(orjson.dumps(tuple(page.following)).decode(), about)
    return orjson.dumps({"imageSetsMetadataSummaries": page.rows, "sort": page.sort, "nextToken": token})


def search_of(request: Request, gateway: Services, datastore_id: str, criteria: bytes) -> str:
    """What tells one caller's search from all others."""
    caller = known_caller(request.environ) or ANYBODY
    sight = gateway.archive.index.sight
    parts = (
        caller.mode,
        caller.name,
        caller.client,
        sight.digest,
        datastore_id,
        sha256(criteria).hexdigest(),
    )
    return orjson.dumps(parts).decode()
