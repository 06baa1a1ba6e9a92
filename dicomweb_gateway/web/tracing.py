"""OpenTelemetry spans of requests, where its packages are installed and an exporter is configured.

OpenTelemetry's own environment variables say where they go; without OTEL_TRACES_EXPORTER or
OTEL_EXPORTER_OTLP_ENDPOINT nothing is imported and nothing is made.
"""

import logging
import os
import time
from importlib import import_module
from typing import Any

from dicomweb_gateway.telemetry.timeline import Timeline

_LOG = logging.getLogger(__name__)
_ASKED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Tracing:
    """The tracer of this process, None while nothing is traced; `propagation` reads a caller's trace."""

    tracer: Any = None
    propagation: Any = None
    kind: Any = None


def start_tracing(exporter: Any = None) -> bool:
    """Trace the requests of this process if that is asked for and can be done; whether it is.

    `exporter`: an OpenTelemetry span exporter, by default the OTLP one.
    """
    if exporter is None and not _is_asked():
        return False
    try:
        sdk = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
        resources = import_module("opentelemetry.sdk.resources")
        if exporter is None:
            otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            exporter = otlp.OTLPSpanExporter()
        _Tracing.propagation = import_module("opentelemetry.propagate")
        _Tracing.kind = import_module("opentelemetry.trace").SpanKind.SERVER
    except ImportError as error:
        _LOG.warning("traces are asked for, but %s is not installed", error.name)
        return False
    name = os.environ.get("OTEL_SERVICE_NAME", "dicomweb-gateway")
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": name}))
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    _Tracing.tracer = provider.get_tracer("dicomweb_gateway")
    return True


def stop_tracing() -> None:
    """Trace no more; what waits to be told goes out."""
    tracer, _Tracing.tracer = _Tracing.tracer, None
    if tracer is not None:
        tracer.span_processor.force_flush()


def is_tracing() -> bool:
    """Whether requests are traced."""
    return _Tracing.tracer is not None


def trace_request(environ: dict[str, Any], facts: dict[str, Any], timeline: Timeline, seconds: float) -> None:
    """One span, from the request to the beginning of its answer; a child of what `traceparent` names."""
    if _Tracing.tracer is None:
        return
    carrier = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
    end = time.time_ns()
    made = _Tracing.tracer.start_span(
        f"{facts['method']} {facts['route']}",
        context=_Tracing.propagation.extract(carrier),
        kind=_Tracing.kind,
        start_time=end - int(seconds * 1e9),
        attributes={
            "http.request.method": facts["method"],
            "http.route": facts["route"],
            "http.response.status_code": facts["status"],
            "dicomweb.request_id": timeline.request_id or "",
            **{f"dicomweb.{part}_ms": spent * 1000 for part, spent in timeline.parts.items()},
        },
    )
    made.end(end_time=end)


def _is_asked() -> bool:
    exporter = os.environ.get("OTEL_TRACES_EXPORTER")
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(os.environ.get(name) for name in _ASKED_BY)
