"""Processes die and folders grow while requests go on."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pydicom import dcmread

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .house import wait_for
from .running import Demo, start_demo, wait_until_loaded

ROOT = "1.2.826.0.1.3680043.10.1443.77"
"""Root of the UIDs of the first series; that of the others has a number more."""
KINDS = 6
SLICES = 8
ELE = {"Accept": 'multipart/related; type="application/octet-stream"'}


def frame_urls(demo: Demo, number: int | None = None) -> list[str]:
    """Of series `number` of the shared demo, or of the only series that there is."""
    root = ROOT if number is None else f"{ROOT}.{number}"
    address = f"{demo.base}/studies/{root}.1/series/{root}.2/instances"
    rows = demo.session.get(address, timeout=30).json()
    return [f"{row['00081190']['Value'][0]}/frames/1" for row in rows]


def faults(demo: Demo, **changes: object) -> None:
    requests.put(f"{demo.emulator}/_emulator/faults", json=changes, timeout=10)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def processes(demo: Demo) -> list[int]:
    return [pid for name in ("frame fetcher", "web process", "emulator") for pid in demo.children(name)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that outlives every test; each asks for frames of a series of its own."""
    folder = tmp_path_factory.mktemp("shared")
    for number in range(1, KINDS + 1):
        write_synthetic_series(folder / "in" / str(number), SLICES, 128, f"{ROOT}.{number}")
    demo = start_demo(folder / "data", [folder / "in"])
    yield demo
    assert demo.stop() == 0


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """A demo of a test's own, which ends it."""
    write_synthetic_series(tmp_path / "in" / "ct", slices=SLICES, size=128)
    return start_demo(tmp_path / "data", [tmp_path / "in"])


def test_a_killed_fetcher_is_replaced_while_requests_go_on(shared: Demo) -> None:
    urls = frame_urls(shared, 1)
    faults(shared, latency_ms=200)
    statuses: list[int] = []

    def ask(some: list[str]) -> None:
        statuses.extend(requests.get(url, headers=ELE, timeout=60).status_code for url in some)

    fetchers = shared.children("frame fetcher")
    askers = [threading.Thread(target=ask, args=(urls[n::3],)) for n in range(3)]
    for asker in askers:
        asker.start()
    time.sleep(0.15)
    os.kill(fetchers[-1], signal.SIGKILL)
    for asker in askers:
        asker.join()
    faults(shared, latency_ms=0)
    assert statuses == [200] * len(urls)
    assert len(shared.children("frame fetcher")) == len(fetchers) + 1
    assert requests.get(f"{shared.root}/health", timeout=10).status_code == 200


def test_a_killed_web_process_costs_only_its_own_requests(shared: Demo) -> None:
    before = shared.children("web process")
    living = [pid for pid in before if alive(pid)]
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(shared.children("web process")) == len(before) + len(living))
    wait_until_loaded(shared)
    assert len(frame_urls(shared, 1)) == SLICES


def test_a_hundred_askers_cause_one_upstream_request(shared: Demo) -> None:
    url = frame_urls(shared, 2)[5]
    faults(shared, latency_ms=300)
    requests.post(f"{shared.emulator}/_emulator/counters/reset", timeout=10)
    bodies: list[bytes] = []

    def ask() -> None:
        bodies.append(requests.get(url, headers=ELE, timeout=60).content)

    askers = [threading.Thread(target=ask) for _ in range(100)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    faults(shared, latency_ms=0)
    assert len(set(bodies)) == 1
    frames = requests.get(f"{shared.emulator}/_emulator/counters", timeout=10).json()["frames"]
    # the frames after it may have been prefetched: each of them once, too
    assert frames
    assert set(frames.values()) == {1}


def test_a_second_demo_on_the_same_folder_is_refused_and_harms_nothing(shared: Demo) -> None:
    with pytest.raises(AssertionError, match="another demo is running"):
        start_demo(shared.log.parent, [], log="second.log")
    assert requests.get(f"{shared.root}/health", timeout=10).text == "OK"


@pytest.mark.parametrize(
    ("number", "fault", "statuses"),
    [
        (3, {"corrupt_rate": 1.0}, {502}),
        (4, {"failure_rate": 1.0}, {502, 503}),
        (5, {"throttle": True, "throttle_scale": 0.0001}, {503}),
    ],
)
def test_a_failing_upstream_is_never_a_200(
    shared: Demo, number: int, fault: dict[str, object], statuses: set[int]
) -> None:
    urls = frame_urls(shared, number)
    faults(shared, **fault)
    # the throttled service lets its burst through first
    found = {requests.get(url, headers=ELE, timeout=60).status_code for url in urls[-3:]}
    assert found <= statuses | ({200} if "throttle" in fault else set())
    assert found & statuses or "throttle" in fault
    faults(shared, corrupt_rate=0.0, failure_rate=0.0, throttle=False)
    # the store that was down is tried again after a moment
    tried: list[int] = []

    def comes_back() -> bool:
        tried.append(requests.get(urls[-1], headers=ELE, timeout=60).status_code)
        return tried[-1] == 200

    wait_for(comes_back, 30)
    assert set(tried) <= {200, 503}


def test_reloading_replaces_the_web_processes(shared: Demo) -> None:
    everyone = shared.children("web process")
    before = [pid for pid in everyone if alive(pid)]
    shared.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(shared.children("web process")) == len(everyone) + len(before))
    wait_for(lambda: not any(map(alive, before)))
    assert len(frame_urls(shared, 6)) == SLICES


def test_started_again_it_imports_only_what_is_new(demo: Demo, tmp_path: Path) -> None:
    assert demo.stop() == 0
    write_synthetic_series(tmp_path / "other", slices=2, size=64, root=f"{ROOT}.1")
    shutil.move(tmp_path / "other", tmp_path / "in" / "more")
    again = start_demo(tmp_path / "data", [tmp_path / "in"])
    assert f"2 files imported now, {SLICES} unchanged" in again.text()
    studies = again.session.get(f"{again.base}/studies", timeout=30).json()
    assert {row["00201208"]["Value"][0] for row in studies} == {SLICES, 2}
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

    wait_for(looked, 120)
    assert "importing" in seen
    assert demo.stop() == 0


def test_a_killed_master_leaves_no_orphans(demo: Demo) -> None:
    pids = processes(demo)
    demo.process.kill()
    demo.process.wait()
    wait_for(lambda: not any(map(alive, pids)), 20)


def test_other_shapes_of_healthimaging_serve_the_same_pixels(tmp_path: Path) -> None:
    write_synthetic_series(tmp_path / "in", slices=3, size=64)
    demo = start_demo(tmp_path / "data", [tmp_path / "in"], wait=False)
    faults(demo, boxed=True, padded=True, multi_level_checksums=True)
    wait_until_loaded(demo)
    files = [dcmread(path) for path in sorted((tmp_path / "in").glob("*.dcm"))]
    for url, file in zip(frame_urls(demo), files, strict=True):
        octets = requests.get(url, headers={"Accept": "application/octet-stream"}, timeout=30)
        assert octets.content == file.PixelData
        stored = requests.get(url, headers={"Accept": "image/jphc"}, timeout=30)
        assert stored.content.startswith(b"\xff\x4f\xff\x51")
    assert demo.stop() == 0


def test_running_answers_finish_when_it_is_told_to_end_and_nothing_is_left_running(demo: Demo) -> None:
    url = frame_urls(demo)[-4]
    pids = processes(demo)
    assert len(pids) >= 3
    faults(demo, latency_ms=1500)
    statuses: list[int] = []
    asker = threading.Thread(
        target=lambda: statuses.append(requests.get(url, headers=ELE, timeout=60).status_code)
    )
    asker.start()
    time.sleep(0.5)
    assert demo.stop() == 0
    asker.join()
    assert statuses == [200]
    wait_for(lambda: not any(map(alive, pids)), 5)
