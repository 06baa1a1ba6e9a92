import os
import time
from pathlib import Path

import pytest

from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.janitor import Janitor
from dicomweb_gateway.frames.store import INCOMING, FrameStore, free_bytes
from tests.frames.conftest import key_of

SIZE = 1000 - HEADER_SIZE


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    made = FrameStore(tmp_path)
    made.prepare()
    return made


def fill(store: FrameStore, ages: dict[int, float]) -> None:
    """Files of 1000 bytes, last used so many seconds ago."""
    for number, age in ages.items():
        store.publish(key_of(number), bytes(SIZE))
        used = time.time() - age
        os.utime(store.path(key_of(number)), (used, used))


def present(store: FrameStore, numbers) -> list[int]:
    return [n for n in numbers if Path(store.path(key_of(n))).exists()]


def test_within_the_budget_nothing_goes(store):
    fill(store, dict.fromkeys(range(10), 1000000.0))
    assert Janitor(store.root, 10_000, 0).sweep() == (10_000, 0, 0)


def test_the_oldest_use_goes_first_down_to_nine_tenths(store):
    fill(store, {n: 3600 - 60 * n for n in range(20)})
    sweep = Janitor(store.root, 10_000, 0).sweep()
    assert sweep == (9_000, 11, 11_000)
    assert present(store, range(20)) == list(range(11, 20))


def test_of_the_same_age_only_as_many_as_needed_go(store):
    fill(store, {**dict.fromkeys(range(3), 100000), **dict.fromkeys(range(3, 20), 5000)})
    assert Janitor(store.root, 10_000, 0).sweep() == (9_000, 11, 11_000)
    assert present(store, range(3)) == []


def test_what_was_just_used_stays_whatever_the_budget(store):
    fill(store, {**dict.fromkeys(range(5), 0), 7: 3600})
    assert Janitor(store.root, 1_000, 0).sweep() == (5_000, 1, 1_000)
    assert present(store, range(8)) == [0, 1, 2, 3, 4]


def test_a_clock_that_was_set_back_protects_nothing(store):
    fill(store, {1: -1e7, 2: 3600})
    Janitor(store.root, 1_500, 0).sweep()
    assert present(store, (1, 2)) == [2]


def test_the_free_space_floor_is_restored(store):
    fill(store, dict.fromkeys(range(30), 3600))
    sweep = Janitor(store.root, 1 << 60, free_bytes(store.root) * 2).sweep()
    assert sweep.kept_bytes == 0


def test_a_use_saves_a_frame(store):
    fill(store, {1: 7200, 2: 3600, 3: 3600})
    store.find(key_of(1))
    Janitor(store.root, 1_200, 0).sweep()
    assert present(store, (1, 2, 3)) == [1]


def test_abandoned_writes_go_and_fresh_ones_stay(store):
    incoming = Path(store.root, INCOMING, "gone")
    incoming.mkdir()
    for name, age in (("old", 7200), ("new", 5)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))
    Janitor(store.root, 1_000, 0).sweep()
    assert [path.name for path in incoming.iterdir()] == ["new"]


def test_a_missing_store_is_no_answer(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        Janitor(str(tmp_path / "nowhere"), 1, 0).sweep()
