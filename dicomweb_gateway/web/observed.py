"""What is noted of every request: its id, where its time went, its numbers, one line in the access log.

Routes stand here as patterns, and no line, label or header holds anything of what was asked for below them.
"""

import itertools
import logging
import os
import re
import time
from bisect import bisect_left
from functools import lru_cache, partial
from typing import Any

from flask import Request, Response

from dicomweb_gateway.access.audit_log import stamp
from dicomweb_gateway.telemetry.catalogue import (
    CUT_ANSWERS,
    IN_FLIGHT,
    REQUEST_SECONDS,
    REQUESTS,
    RESPONSE_BYTES,
    SLOW_REQUESTS,
    Labels,
    Metric,
)
from dicomweb_gateway.telemetry.meters import Meters, count, here, note_failure
from dicomweb_gateway.telemetry.timeline import Timeline, following
from dicomweb_gateway.web.endings import Ending, at_end
from dicomweb_gateway.web.rights import NOWHERE, PLACE
from dicomweb_gateway.web.services import WebConfig
from dicomweb_gateway.web.tracing import trace_request

_LOG = logging.getLogger(__name__)
TIMELINE = "dicomweb_gateway.timeline"
"""Key of the WSGI environment: the request's Timeline."""
FAILURE = "dicomweb_gateway.failure"
"""Key of the WSGI environment: the kind of error that the answer tells of."""
REQUEST_ID = "X-Request-Id"
_UNKNOWN = "unknown"
_IN_FLIGHT = "in flight"
_TOLD = "dicomweb_gateway.told"
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
        (place,) = meters.kept.get(_IN_FLIGHT) or _keep(meters, _IN_FLIGHT, (IN_FLIGHT, ()))
        meters.bump((place, 1))
        try:
            with following(timeline):
                return inner(environ, start_response)
        finally:
            if _TOLD not in environ:
                count(IN_FLIGHT, (), -1)

    return outer


def _told_name(environ: dict[str, Any]) -> str | None:
    """What the client, or a proxy before it, calls the request; None where that is not sane."""
    asked = environ.get("HTTP_X_REQUEST_ID")
    if asked is not None and _SANE.fullmatch(asked):
        return str(asked)
    parent = environ.get("HTTP_TRACEPARENT")
    trace = None if parent is None else _TRACE_PARENT.fullmatch(parent)
    return trace[1] if trace else None


def _keep(meters: Meters, name: Any, *series: tuple[Metric, Labels]) -> tuple[int, ...]:
    meters.kept[name] = places = meters.places(*series)
    return places


def observed(request: Request, response: Response, rule: str | None, began: float, config: WebConfig) -> None:
    """Take note of an answer that is about to go out; `began` by time.perf_counter."""
    environ = request.environ
    seconds = time.perf_counter() - began
    timeline: Timeline = environ.get(TIMELINE) or Timeline()
    status = response.status_code
    where = _where(rule, environ.get(PLACE, NOWHERE).ae_path)
    method = request.method if request.method in _METHODS else "other"
    meters = here()
    requests, taken = meters.kept.get((where, method, status)) or _keep(
        meters, (where, method, status), (REQUESTS, (*where, method, str(status))), (REQUEST_SECONDS, where)
    )
    bucket = taken + bisect_left(REQUEST_SECONDS.buckets, seconds)
    meters.bump((requests, 1), (bucket, 1), (taken + REQUEST_SECONDS.cells - 1, seconds))
    if timeline.request_id is not None:
        response.headers.add(REQUEST_ID, timeline.request_id)
    # of what is hidden or missing not even the time is told
    if config.server_timing and status < 400:
        response.headers.add("Server-Timing", _timing(timeline, seconds))
    if timeline.request_id is not None:
        environ[_TOLD] = True
        at_end(environ, response, partial(_over, where))
    facts = {
        "method": method,
        "route": where[0],
        "ae_path": where[1],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if status >= 500:
        failure = environ.get(FAILURE, "")
        note_failure({"time": stamp(), **facts, "error": failure, "request": timeline.request_id})
    _log(rule, facts, timeline, seconds, config.slow_seconds)
    trace_request(environ, facts, timeline, seconds)


def _log(rule: str | None, facts: dict[str, Any], timeline: Timeline, seconds: float, slow: float) -> None:
    extra = {"facts": facts}
    words = facts["method"], rule or "unknown route", facts["status"], facts["ms"]
    _LOG.info("%s %s %d %.1f ms", *words, extra=extra)
    if slow and seconds >= slow:
        count(SLOW_REQUESTS, (facts["route"], facts["ae_path"]))
        parts = {part: round(spent * 1000, 1) for part, spent in timeline.parts.items()}
        parts["other"] = round(max(0.0, seconds - sum(timeline.parts.values())) * 1000, 1)
        told = ", ".join(f"{part} {spent} ms" for part, spent in parts.items())
        _LOG.warning("slow: %s %s %d %.1f ms: %s", *words, told, extra={"facts": {**facts, "parts": parts}})


def _timing(timeline: Timeline, seconds: float) -> str:
    """The header (W3C Server Timing), in milliseconds."""
    told = ""
    for part, spent in timeline.parts.items():
        told += f"{part};dur={spent * 1000:.2f}, "
    return f"{told}total;dur={seconds * 1000:.2f}"


@lru_cache(maxsize=512)
def _where(rule: str | None, ae_path: str | None) -> Labels:
    """Labels of the route, as a pattern without its base path, and of the base path."""
    if rule is None:
        return _UNKNOWN, ""
    return (rule if ae_path is None else rule.removeprefix(ae_path) or "/"), ae_path or ""


def _over(where: Labels, ending: Ending) -> None:
    meters = here()
    running, sent = meters.kept.get(where) or _keep(meters, where, (IN_FLIGHT, ()), (RESPONSE_BYTES, where))
    meters.bump((running, -1), (sent, ending.sent))
    if not ending.is_whole:
        count(CUT_ANSWERS, where)
