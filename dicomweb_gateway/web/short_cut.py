"""The hottest addresses past Flask: its contexts, routing and signals cost more than a stored frame.

Only what carries an answer is left out. The request and the answer are Flask's own classes, the view is the
one that Flask would call, and what comes before and after every request is called by both ways (`Guards`).
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response

from dicomweb_gateway.web.rights import Place

View = Callable[..., Response]
"""Called with the request and the path's named groups."""


@dataclass(frozen=True, slots=True)
class ShortCut:
    """An address: `pattern` of the whole path, `rule` as the access log names it, its `place`.

    `pattern` matches nothing that Flask would give to another view. Requests of other `methods` are left to
    Flask, and so are those with a query, unless it `takes_query`.
    """

    pattern: re.Pattern[str]
    rule: str
    place: Place
    view: View
    methods: frozenset[str] = frozenset(("GET",))
    takes_query: bool = False


@dataclass(frozen=True, slots=True)
class Guards:
    """What every request goes through.

    `before` refuses by raising (request, where it goes); `failed` makes the answer to what was raised (rule,
    error); `after` completes an answer, or puts another in its place, and logs it (request, answer, rule,
    when it began by time.perf_counter).
    """

    before: Callable[[Request, Place], None]
    failed: Callable[[str | None, Exception], Response]
    after: Callable[[Request, Response, str | None, float], Response]


def with_short_cuts(app: Flask, short_cuts: Sequence[ShortCut], guards: Guards) -> Any:
    """`app.wsgi_app` with the short cuts before it.

    Requests below a prefix, and such as no short cut takes, go the long way, and so do all while `app` has
    more functions before or after its requests than the one of each that calls `guards`.
    """
    inner = app.wsgi_app

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        found = _find(environ, short_cuts)
        if found is None or not _is_plain(app):
            return inner(environ, start_response)
        short_cut, match = found
        began = time.perf_counter()
        request = Request(environ)
        request.max_content_length = app.config["MAX_CONTENT_LENGTH"]
        try:
            guards.before(request, short_cut.place)
            response = short_cut.view(request, **match.groupdict())
        except Exception as error:
            response = guards.failed(short_cut.rule, error)
        response = guards.after(request, response, short_cut.rule, began)
        if not response.direct_passthrough:
            return response(environ, start_response)
        # complete as it stands: a relative location and a length are all that Flask would look for
        start_response(response.status, response.headers.to_wsgi_list())
        return response.response

    return answer


def _find(environ: dict[str, Any], short_cuts: Sequence[ShortCut]) -> tuple[ShortCut, re.Match[str]] | None:
    if environ.get("SCRIPT_NAME"):
        return None
    method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING")
    for short_cut in short_cuts:
        if method not in short_cut.methods or (query and not short_cut.takes_query):
            continue
        match = short_cut.pattern.fullmatch(path)
        if match is not None:
            return (short_cut, match) if _is_routable(environ.get("HTTP_HOST", "")) else None
    return None


@lru_cache(maxsize=256)
def _is_routable(host: str) -> bool:
    """Whether Flask's routing takes the Host header: others it refuses in its own way."""
    try:
        host.rpartition(":")[0].encode("idna")
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _is_plain(app: Flask) -> bool:
    """Whether nothing but ours is registered to come before, after or at the end of requests."""
    return (
        _counts(app.before_request_funcs) == 1
        and _counts(app.after_request_funcs) == 1
        and not app.teardown_request_funcs
        and not app.teardown_appcontext_funcs
        and not app.url_value_preprocessors
    )


def _counts(functions: dict[Any, list[Any]]) -> int:
    return sum(map(len, functions.values()))
