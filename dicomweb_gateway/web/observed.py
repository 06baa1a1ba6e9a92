"""What is noted of every request: its id, where its time went, its numbers, one line in the access log.

Routes stand here as patterns, and no line, label or header holds anything of what was asked for below them.
"""

import itertools
import logging
import os
import re
import time
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from flask import Request, Response

from dicomweb_gateway.access.audit_lines import stamp
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.sight import NOTHING
from dicomweb_gateway.telemetry.catalogue import (
    CUT_ANSWERS,
    IN_FLIGHT,
    REQUEST_SECONDS,
    REQUESTS,
    RESPONSE_BYTES,
    SLOW_REQUESTS,
    Labels,
)
from dicomweb_gateway.telemetry.meters import Meters, count, here, note_failure
from dicomweb_gateway.telemetry.timeline import Timeline, follow
from dicomweb_gateway.web.endings import AtEnd, Ending, at_end
from dicomweb_gateway.web.rights import NOWHERE, PLACE, SIGHT
from dicomweb_gateway.web.services import WebConfig
from dicomweb_gateway.web.tracing import is_tracing, trace_request

_LOG = logging.getLogger(__name__)
"""Of the access log and nothing else (`service/logs.py`)."""
_SLOW = logging.getLogger("dicomweb_gateway.web.slow")
TIMELINE = "dicomweb_gateway.timeline"
"""Key of the WSGI environment: the request's Timeline."""
FAILURE = "dicomweb_gateway.failure"
"""Key of the WSGI environment: the kind of error that the answer tells of, or the part that fails."""
REQUEST_ID = "X-Request-Id"
_UNKNOWN = "unknown"
_SUM = REQUEST_SECONDS.cells - 1
_SANE = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""No dots: a UID must not get into logs and headers as the name of a request."""
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"))


def followed(inner: Any) -> Any:
    """The WSGI application `inner`, whose requests have a Timeline."""

    started, numbers = os.urandom(10).hex(), itertools.count()

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        environ[TIMELINE] = timeline = Timeline(_told_name(environ) or f"{started}{next(numbers):012x}")
        meters = here()
        place = meters.kept.get(IN_FLIGHT) or _keep(meters, IN_FLIGHT, meters.places((IN_FLIGHT, ()))[0])
        meters.shift(place, 1)
        before = follow(timeline)
        try:
            return inner(environ, start_response)
        finally:
            follow(before)
            if not timeline.is_told:
                meters.shift(place, -1)

    return outer


def _told_name(environ: dict[str, Any]) -> str | None:
    """What the client, or a proxy before it, calls the request; None where that is not sane."""
    asked = environ.get("HTTP_X_REQUEST_ID")
    if asked is not None and _SANE.fullmatch(asked):
        return str(asked)
    parent = environ.get("HTTP_TRACEPARENT")
    trace = None if parent is None else _TRACE_PARENT.fullmatch(parent)
    return trace[1] if trace else None


def _keep(meters: Meters, name: Any, made: Any) -> Any:
    meters.kept[name] = made
    return made


def observed(request: Request, response: Response, rule: str | None, began: float, config: WebConfig) -> None:
    """Take note of an answer that is about to go out; `began` by time.perf_counter.

    All requests pay for what stands here, so what only some need is made for them alone.
    """
    environ = request.environ
    seconds = time.perf_counter() - began
    timeline: Timeline = environ.get(TIMELINE) or Timeline()
    status = response.status_code
    method = environ["REQUEST_METHOD"]
    ae_path = environ.get(PLACE, NOWHERE).ae_path
    meters = here()
    kind = (rule, ae_path, method, status)
    requests, taken, over = meters.kept.get(kind) or _kept_of(meters, kind)
    bucket = taken + bisect_left(REQUEST_SECONDS.buckets, seconds)
    meters.bump((requests, 1), (bucket, 1), (taken + _SUM, seconds))
    headers = response.headers
    # of what is hidden or missing not even the time is told
    if config.server_timing and status < 400:
        headers.add("Server-Timing", _timing({} if _may_hide(environ) else timeline.parts, seconds))
    if timeline.request_id is not None:
        headers.add(REQUEST_ID, timeline.request_id)
        timeline.is_told = True
        at_end(environ, response, over)
    is_slow = bool(config.slow_seconds) and seconds >= config.slow_seconds
    if is_slow or status >= 500 or _LOG.isEnabledFor(logging.INFO) or is_tracing():
        _tell(environ, rule, (method, status), timeline, seconds, is_slow)


def _kept_of(meters: Meters, kind: tuple[str | None, str | None, str, int]) -> tuple[int, int, AtEnd]:
    """Of requests of one kind: the cells of their number and of their times, and what to do at their end."""
    rule, ae_path, method, status = kind
    where = _where(rule, ae_path)
    known = method in _METHODS
    requests, taken, running, sent = meters.places(
        (REQUESTS, (*where, method if known else "other", str(status))),
        (REQUEST_SECONDS, where),
        (IN_FLIGHT, ()),
        (RESPONSE_BYTES, where),
    )
    made = requests, taken, partial(_over, meters, running, sent, where)
    # any number of words may come for a method
    return _keep(meters, kind, made) if known else made


def _tell(
    environ: dict[str, Any],
    rule: str | None,
    outcome: tuple[str, int],
    timeline: Timeline,
    seconds: float,
    is_slow: bool,
) -> None:
    """What is logged, noted as a failure and traced of a request; `outcome` is its method and status."""
    method, status = outcome
    route, ae_path = _where(rule, environ.get(PLACE, NOWHERE).ae_path)
    facts = {
        "method": method if method in _METHODS else "other",
        "route": route,
        "ae_path": ae_path,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if status >= 500:
        failure = environ.get(FAILURE, "")
        note_failure({"time": stamp(), **facts, "error": failure, "request": timeline.request_id})
    words = facts["method"], rule or "unknown route", status, facts["ms"]
    _LOG.info("%s %s %d %.1f ms", *words, extra={"facts": facts})
    if is_slow:
        count(SLOW_REQUESTS, (route, ae_path))
        parts = {part: round(spent * 1000, 1) for part, spent in timeline.parts.items()}
        parts["other"] = round(max(0.0, seconds - sum(timeline.parts.values())) * 1000, 1)
        told = ", ".join(f"{part} {spent} ms" for part, spent in parts.items())
        _SLOW.warning("slow: %s %s %d %.1f ms: %s", *words, told, extra={"facts": {**facts, "parts": parts}})
    trace_request(environ, facts, timeline, seconds)


def _may_hide(environ: dict[str, Any]) -> bool:
    """Whether the parts of its time might tell that a search looked at something hidden."""
    searches = environ.get(PLACE, NOWHERE).operation is Operation.SEARCH
    return searches and not environ.get(SIGHT, NOTHING).is_everything


def _timing(parts: Mapping[str, float], seconds: float) -> str:
    """The header (W3C Server Timing), in milliseconds."""
    told = ""
    for part, spent in parts.items():
        told += f"{part};dur={spent * 1000:.2f}, "
    return f"{told}total;dur={seconds * 1000:.2f}"


@lru_cache(maxsize=512)
def _where(rule: str | None, ae_path: str | None) -> Labels:
    """Labels of the route, as a pattern without its base path, and of the base path."""
    if rule is None:
        return _UNKNOWN, ""
    return (rule if ae_path is None else rule.removeprefix(ae_path) or "/"), ae_path or ""


def _over(meters: Meters, running: int, sent: int, where: Labels, ending: Ending) -> None:
    meters.bump((running, -1), (sent, ending.sent))
    if not ending.is_whole:
        count(CUT_ANSWERS, where)
