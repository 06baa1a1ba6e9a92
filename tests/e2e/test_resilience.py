"""Processes die and folders grow while requests go on."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .running import Demo, start_demo, wait_until_loaded

SERIES = "/studies/1.2.826.0.1.3680043.10.1443.77.1/series/1.2.826.0.1.3680043.10.1443.77.2"
ELE = {"Accept": 'multipart/related; type="application/octet-stream"'}


def frame_urls(demo: Demo) -> list[str]:
    rows = demo.session.get(f"{demo.base}{SERIES}/instances", timeout=30).json()
    return [f"{row['00081190']['Value'][0]}/frames/1" for row in rows]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    write_synthetic_series(tmp_path / "in" / "ct", slices=24, size=128)
    return start_demo(tmp_path / "data", [tmp_path / "in"])


def test_a_killed_fetcher_is_replaced_while_requests_go_on(demo: Demo) -> None:
    urls = frame_urls(demo)
    requests.put(f"{demo.emulator}/_emulator/faults", json={"latency_ms": 80}, timeout=10)
    statuses: list[int] = []

    def ask(some: list[str]) -> None:
        statuses.extend(requests.get(url, headers=ELE, timeout=60).status_code for url in some)

    askers = [threading.Thread(target=ask, args=(urls[n::3],)) for n in range(3)]
    for asker in askers:
        asker.start()
    time.sleep(0.15)
    (first,) = demo.children("frame fetcher")
    os.kill(first, signal.SIGKILL)
    for asker in askers:
        asker.join()
    assert statuses == [200] * len(urls)
    assert len(demo.children("frame fetcher")) == 2
    assert requests.get(f"{demo.root}/health", timeout=10).status_code == 200
    assert demo.stop() == 0


def test_a_killed_web_process_costs_only_its_own_requests(demo: Demo) -> None:
    before = demo.children("web process")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(demo.children("web process")) == 2 * len(before))
    wait_until_loaded(demo)
    assert len(frame_urls(demo)) == 24
    assert demo.stop() == 0


def test_a_hundred_askers_cause_one_upstream_request(demo: Demo) -> None:
    url = frame_urls(demo)[5]
    requests.put(f"{demo.emulator}/_emulator/faults", json={"latency_ms": 300}, timeout=10)
    requests.post(f"{demo.emulator}/_emulator/counters/reset", timeout=10)
    bodies: list[bytes] = []

    def ask() -> None:
        bodies.append(requests.get(url, headers=ELE, timeout=60).content)

    askers = [threading.Thread(target=ask) for _ in range(100)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(set(bodies)) == 1
    frames = requests.get(f"{demo.emulator}/_emulator/counters", timeout=10).json()["frames"]
    # the frames after it may have been prefetched: each of them once, too
    assert frames
    assert set(frames.values()) == {1}
    assert demo.stop() == 0


def test_started_again_it_imports_only_what_is_new(demo: Demo, tmp_path: Path) -> None:
    assert demo.stop() == 0
    write_synthetic_series(tmp_path / "other", slices=2, size=64, root="1.2.826.0.1.3680043.10.1443.78")
    shutil.move(tmp_path / "other", tmp_path / "in" / "more")
    again = start_demo(tmp_path / "data", [tmp_path / "in"])
    assert "2 files imported now, 24 unchanged" in again.text()
    studies = again.session.get(f"{again.base}/studies", timeout=30).json()
    assert {row["00201208"]["Value"][0] for row in studies} == {24, 2}
    assert again.stop() == 0


def test_health_says_importing_until_everything_is_loaded(tmp_path: Path) -> None:
    write_synthetic_series(tmp_path / "in", slices=60, size=256)
    demo = start_demo(tmp_path / "data", [tmp_path / "in"], wait=False)
    seen: set[str] = set()

    def looked() -> bool:
        try:
            answer = requests.get(f"{demo.root}/aetitle/health", timeout=10)
        except requests.ConnectionError:
            return False
        if answer.status_code == 503:
            seen.add(answer.json()["message"].split(" ")[0])
        return answer.status_code == 200

    until(looked, 120)
    assert "importing" in seen
    assert demo.stop() == 0


def test_a_second_demo_on_the_same_folder_is_refused_and_harms_nothing(demo: Demo, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="another demo is running"):
        start_demo(tmp_path / "data", [])
    assert requests.get(f"{demo.root}/health", timeout=10).text == "OK"
    assert demo.stop() == 0


def test_nothing_is_left_running(demo: Demo) -> None:
    pids = [pid for name in ("frame fetcher", "web process", "emulator") for pid in demo.children(name)]
    assert len(pids) >= 3
    assert demo.stop() == 0
    until(lambda: not any(map(alive, pids)), 5)


def test_a_killed_master_leaves_no_orphans(demo: Demo) -> None:
    pids = [pid for name in ("frame fetcher", "web process", "emulator") for pid in demo.children(name)]
    demo.process.kill()
    demo.process.wait()
    until(lambda: not any(map(alive, pids)), 20)


@pytest.mark.parametrize("fault", [{"boxed": True}, {"padded": True}, {"multi_level_checksums": True}])
def test_other_shapes_of_healthimaging_serve_the_same_pixels(fault: dict[str, bool], tmp_path: Path) -> None:
    write_synthetic_series(tmp_path / "in", slices=3, size=64)
    demo = start_demo(tmp_path / "data", [tmp_path / "in"], wait=False)
    requests.put(f"{demo.emulator}/_emulator/faults", json=fault, timeout=10)
    wait_until_loaded(demo)
    from pydicom import dcmread

    files = [dcmread(path) for path in sorted((tmp_path / "in").glob("*.dcm"))]
    for url, file in zip(frame_urls(demo), files, strict=True):
        octets = requests.get(url, headers={"Accept": "application/octet-stream"}, timeout=30)
        assert octets.content == file.PixelData
        stored = requests.get(url, headers={"Accept": "image/jphc"}, timeout=30)
        assert stored.content.startswith(b"\xff\x4f\xff\x51")
    assert demo.stop() == 0


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ({"corrupt_rate": 1.0}, {502}),
        ({"failure_rate": 1.0}, {502, 503}),
        ({"throttle": True, "throttle_scale": 0.0001}, {503}),
    ],
)
def test_a_failing_upstream_is_never_a_200(demo: Demo, fault: dict[str, object], statuses: set[int]) -> None:
    urls = frame_urls(demo)
    requests.put(f"{demo.emulator}/_emulator/faults", json=fault, timeout=10)
    # the throttled service lets its burst through first
    found = {requests.get(url, headers=ELE, timeout=60).status_code for url in urls[-3:]}
    assert found <= statuses | ({200} if "throttle" in fault else set())
    assert found & statuses or "throttle" in fault
    requests.put(
        f"{demo.emulator}/_emulator/faults",
        json={"corrupt_rate": 0.0, "failure_rate": 0.0, "throttle": False},
        timeout=10,
    )
    deadline = time.monotonic() + 30
    # the store that was down is tried again after a moment
    while (status := requests.get(urls[-1], headers=ELE, timeout=60).status_code) != 200:
        assert status == 503
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert demo.stop() == 0


def test_running_answers_finish_when_it_is_told_to_end(demo: Demo) -> None:
    url = frame_urls(demo)[20]
    requests.put(f"{demo.emulator}/_emulator/faults", json={"latency_ms": 1500}, timeout=10)
    statuses: list[int] = []
    asker = threading.Thread(
        target=lambda: statuses.append(requests.get(url, headers=ELE, timeout=60).status_code)
    )
    asker.start()
    time.sleep(0.5)
    assert demo.stop() == 0
    asker.join()
    assert statuses == [200]


def test_reloading_replaces_the_web_processes(demo: Demo) -> None:
    before = demo.children("web process")
    demo.process.send_signal(signal.SIGHUP)
    until(lambda: len(demo.children("web process")) == 2 * len(before))
    until(lambda: not any(map(alive, before)))
    assert len(frame_urls(demo)) == 24
    assert demo.stop() == 0
