"""OpenTelemetry spans, with the real SDK where it is installed."""

import pytest

from dicomweb_gateway.telemetry.timeline import Timeline
from dicomweb_gateway.web.tracing import start_tracing, stop_tracing, trace_request

FACTS = {"method": "GET", "route": "/studies", "ae_path": "/aetitle", "status": 200, "ms": 5.0}


def test_nothing_is_traced_unasked(monkeypatch):
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert not start_tracing()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not start_tracing()


def test_a_request_is_one_span_below_the_callers():
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    assert start_tracing(exporter)
    try:
        timeline = Timeline("name-of-it")
        timeline.add("index", 0.002)
        trace_request({"HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}, FACTS, timeline, 0.005)
    finally:
        stop_tracing()
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /studies"
    assert f"{span.parent.span_id:016x}" == "b" * 16
    assert span.end_time - span.start_time == 5_000_000
    assert span.attributes["http.route"] == "/studies"
    assert span.attributes["dicomweb.index_ms"] == 2
    trace_request({}, FACTS, Timeline(), 1)
    assert len(exporter.get_finished_spans()) == 1
