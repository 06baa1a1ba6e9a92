"""The dashboard and the alert rules name metrics and labels that a gateway tells, and no others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dicomweb_gateway.telemetry.catalogue import METRICS, PREFIX
from dicomweb_gateway.web.metrics import exposition

DEPLOY = Path(__file__).parents[1] / "deploy"
_NAME = re.compile(rf"{PREFIX}\w+")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_OF_PROMETHEUS = {"job", "instance", "le"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard()["templating"]["list"]:
        yield variable["query"]
    yield from (rule["expr"] for rule in rules())


def told() -> set[str]:
    """Names of samples that a scrape may hold, by the types that it states."""
    text, _ = exposition("", ())
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name + ending
        for family in text_string_to_metric_families(text.decode())
        for ending in endings[family.type]
    }


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_named_metrics_and_labels_exist(expression: str) -> None:
    names = set(_NAME.findall(expression))
    assert names <= told()
    assert names or expression == "prometheus" or expression.startswith("up{")
    known = {label for metric in METRICS.values() for label in metric.labels} | _OF_PROMETHEUS
    assert set(_MATCHER.findall(expression)) <= known
    for by in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in by.split(",")} <= known


def test_every_panel_has_its_own_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_alerts_say_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 8
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules())


def test_the_example_asks_where_the_metrics_are() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert config["rule_files"] == ["prometheus-alerts.yml"]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert {job["metrics_path"] for job in jobs.values()} == {"/metrics"}
    asked = {name for rule in rules() for name in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert asked == set(jobs)


def test_expressions_are_what_prometheus_reads() -> None:
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    for expression in expressions():
        # what Grafana puts in, and a query of a variable
        text = expression.replace("$__rate_interval", "5m").replace("$__range", "1h")
        if text.startswith(("label_values", "prometheus")):
            continue
        parser.parse(text)
    with pytest.raises(ValueError, match=r"."):
        parser.parse("sum by (le (rate(x[5m]))")
