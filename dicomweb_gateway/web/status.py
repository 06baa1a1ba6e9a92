"""What the status page tells, as plain values: health, traffic, caches, upstream, jobs, errors."""

import time
from collections.abc import Mapping
from typing import Any

from dicomweb_gateway.telemetry.catalogue import (
    CACHE,
    CACHE_EVICTIONS,
    PART_SECONDS,
    REQUEST_SECONDS,
    REQUESTS,
    RESPONSE_BYTES,
    UPSTREAM_CALLS,
    UPSTREAM_FAILURES,
    UPSTREAM_RETRIES,
    UPSTREAM_SECONDS,
    UPSTREAM_THROTTLED,
    Labels,
    Metric,
)
from dicomweb_gateway.telemetry.meters import failures, live_processes, totals
from dicomweb_gateway.telemetry.quantiles import quantile
from dicomweb_gateway.web.services import Services

_Totals = Mapping[tuple[str, Labels], list[float]]


def status_facts(services: Services) -> dict[str, Any]:
    """All of it; nothing of patients is in any of these numbers, and secrets are masked."""
    about, found, report = services.about, totals(), services.health()
    return {
        "version": about.version,
        "up_seconds": round(time.time() - about.started_at),
        "processes": live_processes(),
        "health": {
            "ok": report.failing is None,
            "failing": report.failing,
            "notes": list(report.notes),
            "parts": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in about.parts()],
        },
        "traffic": _traffic(found),
        "time": [
            {"part": labels[0], "count": count, "mean_ms": mean}
            for labels, count, mean in _means(PART_SECONDS, found)
        ],
        "cache": _caches(found),
        "upstream": _upstream(found),
        "jobs": about.jobs(),
        "indexer": about.indexer(),
        "now": [
            {"name": metric.name, "labels": dict(zip(metric.labels, labels, strict=True)), "value": value}
            for metric, labels, value in about.gauges()
        ],
        "recent_errors": failures(),
        "settings": [{"name": name, "value": value, "set": is_set} for name, value, is_set in about.settings],
    }


def _rows(metric: Metric, found: _Totals) -> dict[Labels, float]:
    return {labels: values[0] for (name, labels), values in sorted(found.items()) if name == metric.name}


def _means(metric: Metric, found: _Totals) -> list[tuple[Labels, int, float]]:
    """Of a histogram: labels, how many there were, how many milliseconds they took on average."""
    rows = []
    for (name, labels), values in sorted(found.items()):
        number = sum(values[:-1])
        if name == metric.name and number:
            rows.append((labels, int(number), round(values[-1] / number * 1000, 2)))
    return rows


def _quantiles(metric: Metric, found: _Totals, share: float) -> dict[Labels, float]:
    """Of a histogram of seconds: by labels the milliseconds below which `share` of all lie."""
    rows = {}
    for (name, labels), values in found.items():
        value = quantile(metric.buckets, values[:-1], share) if name == metric.name else None
        if value is not None:
            rows[labels] = round(value * 1000, 2)
    return rows


def _traffic(found: _Totals) -> list[dict[str, Any]]:
    requests, sent = _rows(REQUESTS, found), _rows(RESPONSE_BYTES, found)
    return [
        {
            "route": labels[0],
            "ae_path": labels[1],
            "requests": count,
            "refused": _sum(requests, labels, "4"),
            "failed": _sum(requests, labels, "5"),
            "mean_ms": mean,
            "bytes": int(sent.get(labels, 0)),
        }
        for labels, count, mean in _means(REQUEST_SECONDS, found)
    ]


def _sum(requests: Mapping[Labels, float], where: Labels, status: str) -> int:
    return int(
        sum(n for labels, n in requests.items() if labels[:2] == where and labels[3].startswith(status))
    )


def _caches(found: _Totals) -> list[dict[str, Any]]:
    looked, dropped = _rows(CACHE, found), _rows(CACHE_EVICTIONS, found)
    rows = []
    for tier in sorted({labels[0] for labels in looked} | {labels[0] for labels in dropped}):
        hits, misses = looked.get((tier, "hit"), 0), looked.get((tier, "miss"), 0)
        share = round(100 * hits / (hits + misses), 1) if hits + misses else None
        rows.append(
            {
                "tier": tier,
                "hits": int(hits),
                "misses": int(misses),
                "hit_percent": share,
                "evicted": int(dropped.get((tier,), 0)),
            }
        )
    return rows


def _upstream(found: _Totals) -> list[dict[str, Any]]:
    means = {labels: mean for labels, _, mean in _means(UPSTREAM_SECONDS, found)}
    half, most = (_quantiles(UPSTREAM_SECONDS, found, share) for share in (0.5, 0.95))
    numbers = {
        "calls": _rows(UPSTREAM_CALLS, found),
        "retries": _rows(UPSTREAM_RETRIES, found),
        "throttled": _rows(UPSTREAM_THROTTLED, found),
        "failures": _rows(UPSTREAM_FAILURES, found),
    }
    return [
        {
            "operation": labels[0],
            **{name: int(rows.get(labels, 0)) for name, rows in numbers.items()},
            "mean_ms": means.get(labels),
            "p50_ms": half.get(labels),
            "p95_ms": most.get(labels),
        }
        for labels in numbers["calls"]
    ]
