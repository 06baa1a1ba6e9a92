"""Last-Modified and If-Modified-Since of what lies below a study (RFC 9110 8.8.2, 13.1.3; H-8)."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, wraps

from flask import Request, Response, request
from werkzeug.http import http_date

from dicomweb_gateway.errors import GatewayError
from dicomweb_gateway.web.services import Services, services

_KEPT = ("ETag", "Cache-Control", "Vary", "Content-Location", "Warning")
_DATED = (200, 206, 304)


def dated(view: Callable[..., Response]) -> Callable[..., Response]:
    """`view` of a study, series or instance, its answers dated by the last change of their image sets.

    Where the client names no entity tag and nothing has changed since the moment that it names, the answer is
    304: an entity tag is exact, a date is good to the second.
    """

    @wraps(view)
    def answered(study: str, series: str | None = None, **others: str) -> Response:
        response = view(study=study, **({} if series is None else {"series": series}), **others)
        return date_answer(services(), request, response, study, series)

    return answered


def date_answer(
    gateway: Services, request: Request, response: Response, study: str, series: str | None
) -> Response:
    """`response` dated, or 304 in its place: see `dated`."""
    if response.status_code not in _DATED:
        return response
    changed = _last_change(gateway, study, series)
    if changed is None:
        return response
    if response.status_code == 200 and _is_unchanged(request, changed):
        response = _not_modified(response)
    response.headers.add("Last-Modified", _http_date(changed))
    return response


_http_date = lru_cache(maxsize=1024)(http_date)


def _last_change(gateway: Services, study: str, series: str | None) -> datetime | None:
    """None where it is not known; the date is not worth failing for."""
    with suppress(GatewayError):
        return gateway.archive.index.last_change(study, series)
    return None


def _is_unchanged(request: Request, changed: datetime) -> bool:
    """Whether the client's copy is at least as new; If-None-Match beats the date, a Range is no whole."""
    if "If-None-Match" in request.headers or "Range" in request.headers:
        return False
    since = request.if_modified_since
    return since is not None and changed.replace(microsecond=0) <= since


def _not_modified(response: Response) -> Response:
    """304 in place of a whole answer, whose work ends here."""
    response.close()
    bare = Response(status=304)
    for name in _KEPT:
        if name in response.headers:
            bare.headers[name] = response.headers[name]
    return bare
