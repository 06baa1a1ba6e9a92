"""All numbers of the gateway in the text forms that Prometheus reads."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from dicomweb_gateway.telemetry.catalogue import METRICS, PROCESSES, Labels, Metric
from dicomweb_gateway.telemetry.meters import live_processes, totals

Gauge = tuple[Metric, Labels, float]
"""A gauge that is asked for when it is told: metric, values of its labels, value."""


def exposition(accept: str, gauges: Iterable[Gauge]) -> tuple[bytes, str]:
    """Body and media type that suit the header `accept`: what was counted, and `gauges`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*gauges, (PROCESSES, (), float(live_processes()))]))
    encode, content_type = choose_encoder(accept)
    body: bytes = encode(registry)
    return body, content_type


class _Collected(Collector):
    """Every family of the catalogue, those without a number too: what is named exists from the start."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Family]:
        """See Collector."""
        found: dict[str, list[tuple[Labels, list[float]]]] = {}
        for (name, labels), values in totals().items():
            found.setdefault(name, []).append((labels, values))
        for metric, labels, value in self._gauges:
            found.setdefault(metric.name, []).append((labels, [value]))
        for metric in METRICS.values():
            samples = sorted(found.get(metric.name, []))
            if not samples and not metric.labels and metric.kind == "counter":
                samples = [((), [0.0])]
            yield _family(metric, samples)


def _family(metric: Metric, samples: Sequence[tuple[Labels, list[float]]]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.full_name, metric.meaning, labels=metric.labels)
        for labels, values in samples:
            histogram.add_metric(labels, _buckets(metric, values), values[-1])
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.full_name, metric.meaning, labels=metric.labels)
    for labels, values in samples:
        family.add_metric(labels, values[0])
    return family


def _buckets(metric: Metric, values: list[float]) -> list[tuple[str, float]]:
    """Ends and sums of the buckets, the open one last."""
    told, sum_so_far = [], 0.0
    for end, value in zip((*metric.buckets, float("inf")), values[:-1], strict=True):
        sum_so_far += value
        told.append(("+Inf" if end == float("inf") else str(end), sum_so_far))
    return told
