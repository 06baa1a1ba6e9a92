"""Disk, processes, database and name service fail under a gateway; it goes on, or comes back by itself.

One emulator and one index; tests share a gateway as long as it lives. Whatever has failed is put right, and
the next answers must be right.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import create_engine, text

from tests.databases import PrivateMariaDb, need_mariadb
from tests.emulator.files import ROOT

from .faulty import FAILED, SLICES, Frames, cold_frames, stored_files, write_files
from .house import House, wait_for

PARTS, SHORT = 13, 2
TINY_DISK = 64 << 10


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("outages")
    write_files(folder / "in", PARTS, SHORT)
    settings = {
        "FRAME_TIMEOUT": "5",
        "FETCHER_PROCESSES": "1",
        "PREFETCH": "false",
        "INDEX_CACHE_SECONDS": "0",
    }
    house = House(folder / "house", folder / "in", settings)
    yield house
    house.close()


@pytest.fixture(scope="module")
def unasked(house: House) -> Iterator[Frames]:
    return cold_frames(house, PARTS)


@pytest.fixture
def frames(unasked: Iterator[Frames]) -> Frames:
    return next(unasked)


@pytest.fixture
def running(house: House) -> House:
    """The gateway with the settings that all tests share; started unless it runs."""
    if not house.is_running:
        house.start()
    return house


@contextmanager
def other_settings(house: House, **settings: str) -> Iterator[None]:
    if house.is_running:
        assert house.stop() == 0
    before = dict(house.settings)
    house.settings.update(settings)
    yield
    house.settings = before


def in_own_mounts(*steps: str) -> list[str]:
    """Words before a command that give it mounts of its own, made by `steps`; skips where it may not."""
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount anything")
    return ["unshare", "--mount", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh"]


def spoil_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 4
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [spoil_a_bit, cut_short, make_unreadable, empty])
def test_a_stored_frame_that_is_damaged_or_unreadable_is_fetched_anew(
    running: House, frames: Frames, spoil: Callable[[Path], None]
) -> None:
    before = stored_files(running)
    assert frames.all_right()
    mine = stored_files(running) - before
    assert len(mine) == SLICES
    for path in mine:
        spoil(path)
    assert frames.all_right()


def test_the_cache_is_removed_under_a_running_gateway(running: House, frames: Frames) -> None:
    assert frames.all_right()
    shutil.rmtree(running.folder / "data" / "cache")
    assert frames.all_right()
    assert Frames(running, 2).all_right()
    assert requests.get(f"{Frames(running, 2).url}/metadata", timeout=30).status_code == 200


def test_a_full_disk_costs_only_the_storing(house: House, frames: Frames) -> None:
    cache = house.folder / "tiny"
    cache.mkdir()
    wrapped = in_own_mounts(f"mount -t tmpfs -o size={TINY_DISK} tmpfs {cache}")
    with other_settings(house, CACHE_ROOT=str(cache)), wrapped_in(house, wrapped):
        house.start()
        assert frames.all_right()
        assert Frames(house, 2).all_right()
        assert house.stop() == 0


def test_a_name_that_does_not_resolve_is_a_502_and_then_does(house: House, frames: Frames) -> None:
    hosts = house.folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    wrapped = in_own_mounts(f"mount --bind {hosts} /etc/hosts")
    endpoint = house.emulator.replace("127.0.0.1", "healthimaging.invalid")
    with other_settings(house, AHI_ENDPOINT=endpoint), wrapped_in(house, wrapped):
        house.start()
        answer = frames.ask()
        assert answer.status in FAILED
        assert answer.seconds < 6
        with hosts.open("a") as file:
            file.write("127.0.0.1 healthimaging.invalid\n")
        frames.come_back()
        assert house.stop() == 0


@contextmanager
def wrapped_in(house: House, words: list[str]) -> Iterator[None]:
    house.wrapped = words
    yield
    house.wrapped = []


def test_every_fetcher_is_killed_again_and_again(running: House, frames: Frames) -> None:
    for place in range(1, SLICES + 1):
        for pid in running.children("frame fetcher"):
            os.kill(pid, signal.SIGKILL)
        answer = frames.ask(place)
        assert answer.right or answer.status in FAILED
    frames.come_back()


def test_every_web_process_is_killed(running: House, frames: Frames) -> None:
    for pid in running.children("web process"):
        os.kill(pid, signal.SIGKILL)
    # the master keeps the listening socket: who comes meanwhile waits for the successor
    assert frames.all_right()


@pytest.mark.parametrize("whole", [True, False], ids=["all processes", "the master"])
def test_after_kill_9_a_start_serves_what_is_stored_without_healthimaging(
    running: House, frames: Frames, whole: bool
) -> None:
    house = running
    assert frames.all_right()
    others = house.processes()[1:]
    if whole:
        house.kill_all()
    else:
        os.kill(house.master, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in others), 20)
        house.kill_all()
    house.stop_emulator()
    try:
        house.start()
        assert frames.all_right()
        # the cache serves, so it is a note and not a failure (DESIGN 4)
        wait_for(lambda: "HealthImaging" in health(house).headers.get("Warning", ""), 20)
        assert (health(house).status_code, health(house).text) == (200, "OK")
    finally:
        house.start_emulator()


def health(house: House) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{house.port}/health", timeout=30)


def test_a_locked_sqlite_index_is_a_503_or_does_not_matter(running: House, frames: Frames) -> None:
    assert frames.all_right()
    index = sqlite3.connect(running.folder / "data" / "index.sqlite", isolation_level=None)
    index.execute("BEGIN EXCLUSIVE")
    answer = frames.ask()
    assert answer.right or answer.status == 503
    search = requests.get(f"{running.base}/studies", timeout=60)
    assert search.status_code in (200, 503)
    index.execute("ROLLBACK")
    index.close()
    assert frames.all_right()


def test_a_database_server_that_ends_and_comes_back(house: House, frames: Frames, tmp_path: Path) -> None:
    need_mariadb()
    server = PrivateMariaDb(tmp_path / "mariadb")
    (tmp_path / "mariadb").mkdir()
    server.install()
    server.start()
    engine = create_engine(server.url)
    with engine.begin() as connection:
        connection.execute(text("CREATE DATABASE outage"))
    engine.dispose()
    try:
        with other_settings(house, DATABASE_URL=f"{server.url}/outage?charset=utf8mb4"):
            house.run("db", "upgrade")
            house.run("index", "sync")
            house.start()
            assert frames.all_right()
            server.kill()
            search = requests.get(f"{house.base}/studies", timeout=60)
            assert (search.status_code, "Retry-After" in search.headers) == (503, True)
            answer = frames.ask()
            assert answer.right or answer.status == 503
            server.start()
            wait_for(lambda: requests.get(f"{house.base}/studies", timeout=60).status_code == 200, 20)
            studies = requests.get(f"{house.base}/studies", timeout=60).json()
            assert f"{ROOT}.1" in {row["0020000D"]["Value"][0] for row in studies}
            assert frames.all_right()
            assert house.stop() == 0
    finally:
        server.stop()
