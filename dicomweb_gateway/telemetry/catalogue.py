"""Every number that the gateway tells: name, kind, meaning and labels, whose values are few and never ids."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "dicomweb_gateway_"
Labels = tuple[str, ...]
Kind = Literal["counter", "gauge", "histogram"]
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One family; `name` without prefix. `buckets` are the upper ends of a histogram's, the last is open."""

    name: str
    kind: Kind
    meaning: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()

    @property
    def cells(self) -> int:
        """Numbers that one set of labels needs: a histogram's buckets, the open one and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1

    @property
    def full_name(self) -> str:
        """As it is told, without the endings that the kinds have."""
        return PREFIX + self.name


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, "gauge", meaning, labels)


def _seconds(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, "histogram", meaning, labels, _SECONDS)


REQUESTS = _counter(
    "requests", "Requests by route pattern, base path, method, status", "route", "ae_path", "method", "status"
)
REQUEST_SECONDS = _seconds(
    "request_seconds", "Seconds until the answer began, by route pattern and base path", "route", "ae_path"
)
RESPONSE_BYTES = _counter(
    "response_bytes", "Bytes of answers' bodies that the network took", "route", "ae_path"
)
CUT_ANSWERS = _counter("cut_answers", "Answers that did not go out whole", "route", "ae_path")
SLOW_REQUESTS = _counter("slow_requests", "Requests slower than SLOW_REQUEST_SECONDS", "route", "ae_path")
IN_FLIGHT = _gauge("requests_in_flight", "Requests whose answer is not over")
WAITING = _gauge("work_waiting", "Pieces of work that wait for a thread of a web process")
PART_SECONDS = _seconds(
    "part_seconds", "Seconds by what was waited for: database, upstream, decoding, rendering, ...", "part"
)
REFUSALS = _counter("refusals", "What was refused because of a limit, by the limit", "limit")
STORED_INSTANCES = _counter(
    "stored_instances", "Instances of STOW-RS requests by what became of them", "outcome"
)
UPSTREAM_CALLS = _counter("upstream_calls", "Calls of HealthImaging, each try counted", "operation")
UPSTREAM_RETRIES = _counter("upstream_retries", "Calls made again", "operation")
UPSTREAM_THROTTLED = _counter("upstream_throttled", "Calls that HealthImaging throttled", "operation")
UPSTREAM_FAILURES = _counter("upstream_failures", "Calls that failed as in an outage", "operation")
UPSTREAM_HEDGES = _counter("upstream_hedges", "Frames asked twice as no answer began", "operation")
UPSTREAM_SECONDS = _seconds("upstream_seconds", "Seconds of one call of HealthImaging", "operation")
UPSTREAM_RATE_WAIT = _counter(
    "upstream_rate_wait_seconds", "Seconds that calls waited for their turn under the rate limit", "operation"
)
UPSTREAM_EVENTS = _counter(
    "upstream_events", "What else happened on the way to HealthImaging", "operation", "event"
)
FETCHER_EVENTS = _counter("fetcher_events", "What the frame fetchers did", "event")
FETCHED_BYTES = _counter("fetched_bytes", "Bytes of frames that were fetched")
FETCH_ERRORS = _counter("fetch_errors", "Frames that could not be brought, by the kind of error", "error")
FETCHER_UP = _gauge("fetcher_up", "Whether a frame fetcher answers", "fetcher")
FETCH_QUEUE = _gauge("fetch_queue", "Frames of a fetcher by what they wait for", "fetcher", "state")
STORE_BYTES = _gauge("frame_store_bytes", "Bytes of a fetcher's share of the frame store", "fetcher")
POOL_EVENTS = _counter("pool_events", "What the web processes asked of the frame fetchers", "event")
CACHE = _counter("cache_requests", "Look-ups by tier and result", "tier", "result")
CACHE_EVICTIONS = _counter("cache_evictions", "What was dropped for want of room", "tier")
SHARED_EVENTS = _counter("shared_cache_events", "What else happened in the shared cache tier", "event")
DATABASE_ERRORS = _counter("database_errors", "Statements that failed, or for which no connection was free")
AUDIT_FAILURES = _counter("audit_failures", "Times that the audit log could not be written")
AUDIT_LOST = _counter("audit_lost_lines", "Lines that the audit log lost")
PROCESS_ENDS = _counter("process_ends", "Processes that ended without being told to", "process")
PROCESSES = _gauge("processes", "Processes of this gateway that count here")
WATCH_MESSAGES = _counter(
    "watch_messages", "Messages that `index watch` was given, by what became of them", "result"
)
WATCH_SECONDS = Metric(
    "watch_seconds",
    "histogram",
    "Seconds from an event's coming into the queue until the index had it",
    (),
    (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0),
)
WATCH_QUEUE = _gauge("watch_queue", "Messages of the queue: waiting, or dead (given up)", "state")
WATCH_POLLED = _gauge("watch_polled_timestamp_seconds", "When the queue answered last")
WATCH_RECONCILED = _gauge(
    "watch_reconciled_timestamp_seconds", "When it was last looked for what no event had told of"
)
WATCH_UNINDEXED = _gauge("watch_unindexed", "Image sets that could not be indexed, as `index failures` lists")
HEALTHY = _gauge("healthy", "Whether the gateway is well, as /health has it")
INFO = _gauge("info", "1, with the version", "version")
UNCOUNTED = _counter("uncounted", "Numbers that found no room here and are missing")

METRICS: dict[str, Metric] = {one.name: one for one in list(globals().values()) if isinstance(one, Metric)}
"""All of them, by name."""
