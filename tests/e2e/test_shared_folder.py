"""Two gateways on one cache folder, as on EFS: each keeps to its own part, and no answer is wrong."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .house import COMMAND, House, answers, free_port, wait_for

SLICES = 40


@pytest.fixture
def house(tmp_path: Path):
    write_synthetic_series(tmp_path / "in", slices=SLICES, size=128)
    made = House(tmp_path / "house", tmp_path / "in", {"CACHE_ROOT": str(tmp_path / "cache")})
    yield made
    made.close()


def test_two_gateways_share_a_folder(house: House, tmp_path: Path) -> None:
    house.start()
    port = free_port()
    environment = {**house.environment, "PORT": str(port), "CACHE_MAX_BYTES": "2000000"}
    environment["PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    with (tmp_path / "second.log").open("wb") as log:
        second = subprocess.Popen([*COMMAND, "serve"], env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthcheck"))
        (study,) = requests.get(f"{house.base}/studies", timeout=30).json()
        uid = study["0020000D"]["Value"][0]
        rows = requests.get(f"{house.base}/studies/{uid}/instances", timeout=30).json()
        paths = [
            f"studies/{uid}/series/{row['0020000E']['Value'][0]}/instances/{row['00080018']['Value'][0]}/frames/1"
            for row in rows
        ]
        bases = [house.base, f"http://127.0.0.1:{port}/aetitle"]
        with ThreadPoolExecutor(8) as pool:
            for _ in range(3):
                answered = [list(pool.map(lambda p, b=base: body(f"{b}/{p}"), paths)) for base in bases]
                assert answered[0] == answered[1]
        assert len(paths) == SLICES
    finally:
        second.terminate()
        assert second.wait(40) == 0
    first_frames, second_frames = (list(folder.rglob("*-*")) for folder in frames_of(tmp_path / "cache"))
    assert first_frames
    assert second_frames
    assert not {os.path.realpath(one) for one in first_frames} & set(map(os.path.realpath, second_frames))


def frames_of(cache: Path) -> tuple[Path, Path]:
    """The frame stores of both."""
    (other,) = (cache / "hosts").iterdir()
    return cache / "frames", other / "frames"


def body(url: str) -> bytes:
    """What follows the part's head: boundaries differ by address."""
    answer = requests.get(url, headers={"Accept": "application/octet-stream"}, timeout=60)
    assert answer.status_code == 200
    return answer.content
