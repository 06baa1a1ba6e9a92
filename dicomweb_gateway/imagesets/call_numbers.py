"""What is counted of calls of HealthImaging, by operation: on /metrics, and on the status page."""

import time
from typing import Any

from dicomweb_gateway.telemetry.catalogue import (
    UPSTREAM_CALLS,
    UPSTREAM_EVENTS,
    UPSTREAM_FAILURES,
    UPSTREAM_HEDGES,
    UPSTREAM_RATE_WAIT,
    UPSTREAM_RETRIES,
    UPSTREAM_SECONDS,
    UPSTREAM_THROTTLED,
    Labels,
    Metric,
)
from dicomweb_gateway.telemetry.meters import observe
from dicomweb_gateway.telemetry.tally import Tally

_BEGUN = "dicomweb_gateway_begun"
_TOO_MANY = 429
_FAULTS = 500

_APART: dict[str, tuple[Metric, Labels]] = {
    "calls": (UPSTREAM_CALLS, ()),
    "retries": (UPSTREAM_RETRIES, ()),
    "throttled": (UPSTREAM_THROTTLED, ()),
    "failures": (UPSTREAM_FAILURES, ()),
    "hedges": (UPSTREAM_HEDGES, ()),
    "rate_wait_seconds": (UPSTREAM_RATE_WAIT, ()),
}


def calls_tally() -> Tally:
    """Numbers that go into the meters, those of no operation until `Tally.of` names one."""
    return Tally(UPSTREAM_EVENTS, _APART, ("",))


def count_calls_of(client: Any) -> None:
    """Count also what `client`, one of the SDK, calls; the seconds of a call are those of all its tries."""
    tally = calls_tally()

    def begin(context: dict[str, Any], **_: Any) -> None:
        context[_BEGUN] = time.monotonic()

    def end(
        event_name: str, context: dict[str, Any], http_response: Any = None, parsed: Any = None, **_: Any
    ) -> None:
        operation = event_name.rpartition(".")[2]
        now = time.monotonic()
        observe(UPSTREAM_SECONDS, now - context.get(_BEGUN, now), (operation,))
        numbers = tally.of(operation)
        retries = ((parsed or {}).get("ResponseMetadata") or {}).get("RetryAttempts", 0)
        status = _FAULTS if http_response is None else http_response.status_code
        numbers.add("calls", 1 + retries)
        numbers.add("retries", retries)
        numbers.add("throttled", status == _TOO_MANY)
        numbers.add("failures", status >= _FAULTS)

    client.meta.events.register("before-call", begin)
    for event in ("after-call", "after-call-error"):
        client.meta.events.register(event, end)
