"""Numbers and logs of a whole gateway: every request is counted once, also when processes are killed."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .served import filled_gateway, serving

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]
PREFIX = "dicomweb_gateway_"


@dataclass
class Observed:
    root: str
    log: Path
    master: int = 0
    frames: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def numbers(self) -> Numbers:
        text = requests.get(f"{self.root}/metrics", timeout=20).text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            if family.type != "gauge"
            for sample in family.samples
        }

    def pids(self, name: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"{name} \d+ started, pid (\d+)", self.log.read_text())]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    write_synthetic_series(folder / "in", slices=20, size=64)
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "SLOW_REQUEST_SECONDS": "0.000001"}
    with filled_gateway(folder, **settings) as environment:
        log = folder / "serve.log"
        with serving(environment, log) as (process, root):
            found = Observed(root, log, process.pid)
            rows = requests.get(f"{root}/aetitle/instances?includefield=all", timeout=30).json()
            for row in rows:
                study, series, instance = (
                    row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
                )
                found.frames.append(f"/aetitle/studies/{study}/series/{series}/instances/{instance}/frames/1")
                found.secrets |= {study, series, instance}
            for row in requests.get(f"{root}/aetitle/studies", timeout=30).json():
                found.secrets |= set(re.findall(r'"Alphabetic": ?"([^"]{4,})"', json.dumps(row)))
                found.secrets |= {str(row["00100020"]["Value"][0])}
            yield found


def counted(numbers: Numbers, route: str) -> float:
    return sum(
        value
        for (name, labels), value in numbers.items()
        if name == f"{PREFIX}requests_total" and dict(labels)["route"].endswith(route)
    )


def backwards(before: Numbers, after: Numbers) -> list[object]:
    return [key for key, value in before.items() if after.get(key, -1) < value]


def ask_all(observed: Observed, times: int = 1) -> int:
    def ask(path: str) -> int:
        return requests.get(f"{observed.root}{path}", headers={"Accept": "*/*"}, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, observed.frames * times))
    assert set(statuses) == {200}
    return len(statuses)


def test_every_request_of_both_processes_is_counted_once(observed: Observed) -> None:
    before = observed.numbers()
    asked = ask_all(observed, 5)
    after = observed.numbers()
    assert counted(after, "/frames/<frames>") - counted(before, "/frames/<frames>") == asked
    calls = (f"{PREFIX}upstream_calls_total", (("operation", "GetImageFrame"),))
    assert after[calls] >= len(observed.frames)
    assert not backwards(before, after)


@pytest.mark.parametrize("name", ["web process", "frame fetcher"])
def test_killed_processes_take_no_number_with_them(observed: Observed, name: str) -> None:
    ask_all(observed)
    before = observed.numbers()
    started = len(observed.pids(name))
    os.kill(observed.pids(name)[-1], signal.SIGKILL)
    until = time.monotonic() + 30
    while len(observed.pids(name)) == started:
        assert time.monotonic() < until
        time.sleep(0.1)
    while requests.get(f"{observed.root}/health", timeout=20).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not backwards(before, observed.numbers())
    asked = ask_all(observed)
    after = observed.numbers()
    assert counted(after, "/frames/<frames>") - counted(before, "/frames/<frames>") == asked
    ends = (f"{PREFIX}process_ends_total", (("process", name.replace(" ", "_")),))
    assert after[ends] == before.get(ends, 0) + 1


def test_a_reload_takes_no_number_with_it(observed: Observed) -> None:
    ask_all(observed)
    before = observed.numbers()
    started = len(observed.pids("web process"))
    os.kill(observed.master, signal.SIGHUP)
    asked = 0
    until = time.monotonic() + 60
    while len(observed.pids("web process")) < started + 2:
        asked += ask_all(observed)
        assert time.monotonic() < until
    asked += ask_all(observed)
    after = observed.numbers()
    assert not backwards(before, after)
    assert counted(after, "/frames/<frames>") - counted(before, "/frames/<frames>") == asked


def test_a_request_id_leads_to_its_lines(observed: Observed) -> None:
    answer = requests.get(
        f"{observed.root}/aetitle/studies", headers={"X-Request-Id": "find-me-again"}, timeout=20
    )
    assert answer.headers["X-Request-Id"] == "find-me-again"
    until = time.monotonic() + 10
    lines: list[dict[str, object]] = []
    while not lines and time.monotonic() < until:
        everything = [json.loads(line) for line in observed.log.read_text().splitlines() if line[:1] == "{"]
        lines = [line for line in everything if line.get("request") == "find-me-again"]
    access, slow = lines
    assert (access["method"], access["route"], access["status"]) == ("GET", "/studies", 200)
    assert slow["level"] == "warning"
    assert isinstance(slow["parts"], dict)


def test_no_line_and_no_page_names_a_patient(observed: Observed) -> None:
    ask_all(observed)
    for path in ("/metadata", "/rendered", "/nothing"):
        requests.get(f"{observed.root}{observed.frames[0].rpartition('/frames')[0]}{path}", timeout=30)
    name = next(one for one in observed.secrets if "^" in one)
    requests.get(f"{observed.root}/aetitle/studies?PatientName={name}&nonsense={name}", timeout=30)
    inside = requests.get(f"{observed.root}/metrics", timeout=20).text
    inside += requests.get(f"{observed.root}/status?format=json", timeout=20).text
    assert len(observed.secrets) > 20
    text = observed.log.read_text() + inside
    assert [secret for secret in observed.secrets if len(secret) > 3 and secret in text] == []
