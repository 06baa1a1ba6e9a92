import os
import shutil
import threading
import time
from contextlib import suppress
from errno import EIO
from pathlib import Path

import pytest

from dicomweb_gateway.dicom.spool_space import free_bytes
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.incoming import INCOMING
from dicomweb_gateway.frames.janitor import Janitor, Share
from dicomweb_gateway.frames.places import folder_of
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import StoreUnwritable
from tests.frames.conftest import key_of

BLOCK = 4096
PAYLOAD = bytes(1000)


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    made = FrameStore(tmp_path)
    made.prepare()
    return made


def fill(store: FrameStore, ages: dict[int, float], **how) -> None:
    """Files of one block, last used so many seconds ago."""
    for number, age in ages.items():
        store.publish(key_of(number), PAYLOAD, **how)
        used = time.time() - age
        os.utime(store.path(key_of(number)), (used, used))


def present(store: FrameStore, numbers) -> list[int]:
    return [n for n in numbers if Path(store.path(key_of(n))).exists()]


def counted(store: FrameStore, blocks: int, **how) -> Janitor:
    janitor = Janitor(store.root, blocks * BLOCK, how.pop("floor", 0), **how)
    janitor.sweep()
    return janitor


def test_within_the_budget_nothing_goes(store):
    fill(store, dict.fromkeys(range(10), 1000000.0))
    janitor = counted(store, 12)
    janitor.make_room(BLOCK)
    janitor.make_room(1)
    assert len(present(store, range(10))) == 10
    assert janitor.counts() == {"store_bytes": 12 * BLOCK, "evicted": 0, "prefetch_wasted": 0}


def test_each_frame_displaces_just_as_much_of_the_oldest(store):
    fill(store, {n: 3600 - 60 * n for n in range(20)})
    janitor = counted(store, 20)
    janitor.make_room(2 * BLOCK + 1)
    assert present(store, range(20)) == list(range(3, 20))
    janitor.make_room(BLOCK)
    assert present(store, range(20)) == list(range(4, 20))


def test_a_count_brings_a_store_that_is_too_large_to_its_budget(store):
    fill(store, {n: 3600 - 60 * n for n in range(20)})
    counted(store, 10)
    assert present(store, range(20)) == list(range(10, 20))


def test_the_budget_holds_whatever_comes_in(store):
    """Writers at full speed, a working set of ten times the budget: never more than the budget on disk."""
    janitor = Janitor(store.root, 50 * BLOCK, 0, grace_seconds=0)
    counting = threading.Thread(target=janitor.run)
    counting.start()
    most = stored = 0
    try:
        for number in range(500):
            with suppress(StoreUnwritable):
                janitor.make_room(HEADER_SIZE + len(PAYLOAD))
                store.publish(key_of(number), PAYLOAD)
                janitor.written(HEADER_SIZE + len(PAYLOAD))
                stored += 1
            most = max(most, len(list(Path(store.root).glob("??/*"))))
            time.sleep(0.001)
    finally:
        janitor.stop()
        counting.join()
    assert stored > 60
    assert 40 <= most <= 50


def test_what_was_just_used_stays_and_what_comes_is_not_stored(store):
    fill(store, {**dict.fromkeys(range(5), 0), 7: 3600})
    janitor = counted(store, 6)
    janitor.make_room(BLOCK)
    with pytest.raises(StoreUnwritable, match="budget"):
        janitor.make_room(BLOCK)
    assert present(store, range(8)) == [0, 1, 2, 3, 4]
    assert not janitor.has_room()


def test_a_frame_larger_than_the_budget_displaces_nothing(store):
    fill(store, {1: 3600})
    janitor = counted(store, 4)
    with pytest.raises(StoreUnwritable, match="larger"):
        janitor.make_room(5 * BLOCK)
    assert present(store, [1]) == [1]


def test_room_for_what_was_not_written_is_given_back(store):
    janitor = counted(store, 4)
    for _ in range(10):
        janitor.make_room(3 * BLOCK)
        janitor.not_written(3 * BLOCK)
    assert janitor.counts()["store_bytes"] == 0


def test_before_the_first_count_little_is_written(store):
    fill(store, dict.fromkeys(range(100), 3600))
    janitor = Janitor(store.root, 100 * BLOCK, 0)
    for _ in range(5):
        janitor.make_room(BLOCK)
    with pytest.raises(StoreUnwritable):
        janitor.make_room(BLOCK)


def test_shares_count_and_evict_their_own_folders(store):
    numbers = range(60)
    fill(store, dict.fromkeys(numbers, 3600))
    shares = [Janitor(store.root, 4 * BLOCK, 0, share=Share(number, 3)) for number in range(3)]
    counts = [share.sweep().files for share in shares]
    assert sum(counts) == len(numbers)
    assert counts == [sum(folder_of(key_of(n)) % 3 == share for n in numbers) for share in range(3)]
    assert len(present(store, numbers)) <= 4


def test_wasted_prefetches_are_told_apart(store):
    fill(store, {1: 3600, 2: 3600, 3: 3600}, prefetched=True)
    fill(store, {4: 3600})
    store.find(key_of(2))
    for number in (1, 2, 3, 4):
        os.utime(store.path(key_of(number)), (1, 1))
    assert counted(store, 0).counts() == {"store_bytes": 0, "evicted": 4, "prefetch_wasted": 2}


def test_a_clock_that_was_set_back_protects_nothing(store):
    fill(store, {1: -1e7, 2: 3600})
    counted(store, 1)
    assert present(store, (1, 2)) == [2]


def test_the_free_space_floor_is_restored(store):
    fill(store, dict.fromkeys(range(30), 3600))
    counted(store, 1 << 40, floor=free_bytes(store.root) * 2)
    assert present(store, range(30)) == []


def test_the_free_space_floor_refuses_writing(store):
    janitor = counted(store, 1 << 40, floor=1 << 60)
    with pytest.raises(StoreUnwritable, match="floor"):
        janitor.make_room(BLOCK)


def test_a_use_after_the_count_saves_a_frame(store):
    fill(store, {1: 7200, 2: 3600, 3: 3600})
    janitor = counted(store, 3)
    store.find(key_of(1))
    janitor.make_room(2 * BLOCK)
    assert present(store, (1, 2, 3)) == [1]


def test_abandoned_writes_go_and_fresh_ones_stay(store):
    for writer, name, age in (("0", "old", 7200), ("0", "new", 5), ("7", "of a fetcher that is no more", 5)):
        incoming = Path(store.root, INCOMING, writer)
        incoming.mkdir(exist_ok=True)
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))
    counted(store, 1)
    left = [path.name for path in Path(store.root, INCOMING).rglob("*") if not path.is_dir()]
    assert left == ["new"]


def test_a_store_that_was_removed_is_empty(store):
    fill(store, dict.fromkeys(range(3), 3600))
    janitor = counted(store, 3)
    shutil.rmtree(store.root)
    janitor.sweep()
    janitor.make_room(3 * BLOCK)
    store.publish(key_of(1), PAYLOAD)
    assert store.find(key_of(1)).read() == PAYLOAD


def test_a_file_in_place_of_the_store_is_no_store(store):
    janitor = counted(store, 3, floor=1)
    shutil.rmtree(store.root)
    Path(store.root).write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        janitor.sweep()
    assert store.find(key_of(1)) is None
    with pytest.raises(StoreUnwritable):
        store.publish(key_of(1), PAYLOAD)


def test_a_disk_that_does_not_answer_once_ends_no_counting(store, monkeypatch):
    asked = []

    def failing(folder: str) -> int:
        asked.append(folder)
        if len(asked) == 1:
            raise OSError(EIO, "the disk is away")
        return free_bytes(folder)

    monkeypatch.setattr("dicomweb_gateway.frames.janitor.free_bytes", failing)
    janitor = Janitor(store.root, 1 << 20, 0)
    counting = threading.Thread(target=janitor.run)
    counting.start()
    deadline = time.monotonic() + 10
    while len(asked) < 2 and counting.is_alive() and time.monotonic() < deadline:
        janitor._due.set()
        time.sleep(0.01)
    janitor.stop()
    counting.join(10)
    assert len(asked) == 2
