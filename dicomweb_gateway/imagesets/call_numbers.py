"""What is counted of calls of HealthImaging, by operation: on /metrics, and on the status page."""

from dicomweb_gateway.telemetry.catalogue import (
    UPSTREAM_CALLS,
    UPSTREAM_EVENTS,
    UPSTREAM_FAILURES,
    UPSTREAM_HEDGES,
    UPSTREAM_RATE_WAIT,
    UPSTREAM_RETRIES,
    UPSTREAM_THROTTLED,
    Labels,
    Metric,
)
from dicomweb_gateway.telemetry.tally import Tally

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
