"""HealthImaging fails in every way; no wrong byte leaves, nothing wrong is stored, and all of it passes.

One gateway and one emulator, which verifies signatures; every test has frames of its own that nobody asked
for before.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from .faulty import FAILED, SLICES, Frames, cold_frames, cold_series, write_files
from .house import House, wait_for

PARTS, SHORT = 41, 6
PATIENCE = 3
FRAME = {"operations": ["GetImageFrame"]}
METADATA = {"operations": ["GetImageSetMetadata"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    write_files(folder / "in", PARTS, SHORT)
    return folder


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[House]:
    (folder / "aws.ini").write_text(f"[default]\ncredential_process = cat {folder}/credentials.json\n")
    issue_credentials(folder, "OLDKEY")
    settings = {
        "FRAME_TIMEOUT": str(PATIENCE),
        "FETCHER_PROCESSES": "1",
        "PREFETCH": "false",
        "AWS_CONFIG_FILE": str(folder / "aws.ini"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_ACCESS_KEY_ID": "",
        "AWS_PROFILE": "default",
    }
    verified = [
        "--verify-signatures",
        "OLDKEY:old:one",
        "--verify-signatures",
        "NEWKEY:new:two",
        "--seed",
        "3",
    ]
    house = House(folder / "house", folder / "in", settings, verified)
    house.start()
    yield house
    house.close()


def issue_credentials(folder: Path, key: str) -> None:
    """What the credential process tells from now on."""
    secret, token = {"OLDKEY": ("old", "one"), "NEWKEY": ("new", "two")}[key]
    issued = {
        "Version": 1,
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": (datetime.now(UTC) + timedelta(hours=6)).isoformat(),
    }
    beside = folder / "credentials.new"
    beside.write_text(json.dumps(issued))
    beside.rename(folder / "credentials.json")


@pytest.fixture(scope="module")
def unasked(house: House) -> Iterator[Frames]:
    found = cold_frames(house, PARTS)
    # the first frame of all waits for credentials too, and faults are to cost the time of the others
    next(found).come_back()
    return found


@pytest.fixture(scope="module")
def unopened(house: House) -> Iterator[Frames]:
    return cold_series(house, SHORT)


@pytest.fixture
def frames(house: House, unasked: Iterator[Frames]) -> Iterator[Frames]:
    yield next(unasked)
    house.faults(rules=[], clock_ahead=0)


@pytest.fixture
def series(house: House, unopened: Iterator[Frames]) -> Iterator[Frames]:
    yield next(unopened)
    house.faults(rules=[])


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "throttle"},
        {"kind": "error"},
        {"kind": "error", "status": 503},
        {"kind": "drop", "at": "answer"},
        {"kind": "drop", "at": "headers"},
        {"kind": "drop", "at": "body"},
        {"kind": "truncate", "at": "answer"},
        {"kind": "truncate", "at": "headers"},
        {"kind": "truncate", "at": "body"},
        {"kind": "cut"},
        {"kind": "flip"},
        {"kind": "hang", "wait": 0.3},
        {"kind": "late", "wait": 0.5},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
def test_one_failure_is_not_noticed(house: House, frames: Frames, rule: dict[str, Any]) -> None:
    house.faults(rules=[{**rule, **FRAME, "calls": 1}])
    assert frames.ask().right
    assert frames.all_right()


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "throttle"},
        {"kind": "error"},
        {"kind": "conflict"},
        {"kind": "denied"},
        {"kind": "drop", "at": "answer"},
        {"kind": "drop", "at": "body"},
        {"kind": "truncate", "at": "body"},
        {"kind": "cut"},
        {"kind": "flip"},
        {"kind": "slow", "bytes_per_second": 100},
        {"kind": "hang"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
def test_a_lasting_failure_is_a_5xx_stores_nothing_and_passes(
    house: House, frames: Frames, rule: dict[str, Any]
) -> None:
    before = frames.stored()
    house.faults(rules=[{**rule, **FRAME}])
    for answer in (frames.ask(1), frames.ask(2)):
        assert answer.status in FAILED
        assert answer.seconds < PATIENCE + 2
    assert frames.stored() == before
    house.faults(rules=[])
    frames.come_back()


def test_while_healthimaging_is_down_what_is_stored_is_served_and_the_rest_refused_at_once(
    house: House, frames: Frames, unasked: Iterator[Frames]
) -> None:
    assert frames.all_right()
    cold = [next(unasked) for _ in range(4)]
    house.faults(rules=[{"kind": "error", **FRAME}])
    wanted = [(one, place) for one in cold for place in range(1, SLICES + 1)]
    with ThreadPoolExecutor(8) as askers:
        statuses = {answer.status for answer in askers.map(lambda one: one[0].ask(one[1]), wanted)}
    assert statuses <= FAILED
    wait_for(lambda: is_refused_at_once(cold[0]), 10)
    assert frames.all_right()
    house.reset_counters()
    with ThreadPoolExecutor(8) as askers:
        refused = list(askers.map(lambda one: one[0].ask(one[1]), wanted))
    calls = house.counters()["operations"].get("GetImageFrame", {"requests": 0})["requests"]
    assert {answer.status for answer in refused} <= FAILED
    # a probe now and then, not three tries for each of them
    assert calls < len(wanted)
    house.faults(rules=[])
    for one in cold:
        one.come_back()


def is_refused_at_once(frames: Frames) -> bool:
    answer = frames.ask()
    assert answer.status in FAILED
    return answer.status == 503 and answer.retry_after is not None and answer.seconds < 0.5


def test_healthimaging_ends_and_is_started_again(
    house: House, frames: Frames, unasked: Iterator[Frames]
) -> None:
    cold = next(unasked)
    assert frames.all_right()
    house.stop_emulator()
    try:
        answer = cold.ask()
        assert answer.status in FAILED
        assert frames.all_right()
    finally:
        house.start_emulator()
    cold.come_back()


def test_credentials_that_expired_are_fetched_anew(house: House, folder: Path, frames: Frames) -> None:
    assert frames.ask(1).right
    house.faults(rules=[{"kind": "expired", "key": "OLDKEY"}])
    answer = frames.ask(2)
    assert answer.status in FAILED
    issue_credentials(folder, "NEWKEY")
    frames.come_back(20)


@pytest.mark.parametrize("ahead", [1200, -1200])
def test_a_clock_that_is_twenty_minutes_off_costs_one_more_call(
    house: House, frames: Frames, ahead: int
) -> None:
    house.faults(clock_ahead=ahead)
    assert frames.ask(1).right
    house.reset_counters()
    assert frames.ask(2).right
    assert house.counters()["operations"]["GetImageFrame"]["requests"] == 1


@pytest.mark.parametrize("kind", ["throttle", "error", "drop", "truncate", "flip"])
def test_metadata_that_fail_are_whole_or_a_5xx(house: House, series: Frames, kind: str) -> None:
    house.faults(rules=[{"kind": kind, **METADATA}])
    answer = metadata(series)
    assert answer.status_code in FAILED, answer.text[:200]
    house.faults(rules=[])
    wait_for(lambda: metadata(series).status_code == 200, 30)
    assert len(metadata(series).json()) == SLICES
    assert series.all_right()


def test_metadata_still_being_processed_come_when_they_are_there(house: House, series: Frames) -> None:
    house.faults(rules=[{"kind": "conflict", **METADATA, "seconds": 1}])
    wait_for(lambda: metadata(series).status_code == 200, 20)
    assert len(metadata(series).json()) == SLICES


def metadata(series: Frames) -> requests.Response:
    return requests.get(f"{series.url}/metadata", timeout=60)


def test_a_burst_of_mixed_faults_never_gives_a_wrong_byte(
    house: House, frames: Frames, unasked: Iterator[Frames]
) -> None:
    several = [frames, next(unasked), next(unasked)]
    kinds = ("error", "throttle", "drop", "truncate", "cut", "flip")
    house.faults(rules=[{"kind": kind, "rate": 0.1, **FRAME} for kind in kinds], seed=5)
    wanted = [(one, place) for one in several for place in range(1, SLICES + 1)] * 3
    with ThreadPoolExecutor(8) as askers:
        statuses = {answer.status for answer in askers.map(lambda one: one[0].ask(one[1]), wanted)}
    assert 200 in statuses
    assert statuses <= {200, *FAILED}
    house.faults(rules=[])
    began = time.monotonic()
    for one in several:
        one.come_back()
    assert time.monotonic() - began < 30
