import os
import resource
import shutil
import stat
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.incoming import INCOMING
from dicomweb_gateway.frames.places import key_digest
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import FrameInMemory, LostFrame, StoreUnwritable
from dicomweb_gateway.imagesets.store import FrameKey

KEY = FrameKey("a" * 32, "b" * 32, "c" * 32)
PAYLOAD = bytes(range(256)) * 40
SPAWN = get_context("spawn")


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    made = FrameStore(tmp_path / "frames")
    made.prepare()
    return made


def key(number: int) -> FrameKey:
    return FrameKey("d" * 32, "s" * 32, f"{number:032x}")


def test_what_is_published_is_found_and_read(store):
    assert store.find(KEY) is None
    store.publish(KEY, PAYLOAD)
    found = store.find(KEY)
    assert found is not None
    assert (found.length, found.prefetched) == (len(PAYLOAD), False)
    assert found.read() == PAYLOAD
    file, offset = found.open()
    with file:
        assert offset == file.tell() == HEADER_SIZE
        assert file.read() == PAYLOAD


def test_a_new_process_finds_what_an_older_one_stored(store):
    store.publish(KEY, PAYLOAD, prefetched=True)
    found = FrameStore(store.root).find(KEY)
    assert found is not None
    assert found.prefetched
    assert found.read() == PAYLOAD


def test_publishing_again_replaces(store):
    store.publish(KEY, b"old")
    store.publish(KEY, PAYLOAD)
    assert store.find(KEY).read() == PAYLOAD


@pytest.mark.parametrize(
    ("damage", "found_at_lookup"),
    [
        (lambda raw: b"", False),
        (lambda raw: raw[:10], False),
        (lambda raw: raw[:-1], False),
        (lambda raw: raw + b"\0", False),
        (lambda raw: b"XXXX" + raw[4:], False),
        (lambda raw: raw[:4] + b"\x09" + raw[5:], False),
        (lambda raw: bytes(len(raw)), False),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), True),
        (lambda raw: raw[: HEADER_SIZE + 100] + bytes(512) + raw[HEADER_SIZE + 612 :], True),
        (lambda raw: raw[:8] + bytes(4) + raw[12:], True),
    ],
    ids=["empty", "half header", "short", "long", "magic", "version", "zeros", "last bit", "hole", "crc"],
)
@pytest.mark.parametrize("way", ["open", "read"])
def test_a_damaged_file_is_no_answer_and_is_removed(store, damage, found_at_lookup, way):
    store.publish(KEY, PAYLOAD)
    path = Path(store.path(KEY))
    path.write_bytes(damage(path.read_bytes()))
    found = store.find(KEY)
    assert (found is not None) is found_at_lookup
    if found is not None:
        with pytest.raises(LostFrame):
            getattr(found, way)()
    assert not path.exists()


@pytest.mark.parametrize("size", [1000, 9 << 20], ids=["small", "large"])
@pytest.mark.parametrize("first", ["open", "read", "open what was told of"])
def test_a_file_that_changes_under_a_running_process_is_no_answer(store, size, first):
    frame = store.publish(KEY, bytes(size))
    if first == "open what was told of":
        frame = store.published(KEY, size, is_bare=False)
    if first == "read":
        assert frame.read() == bytes(size)
    else:
        frame.open()[0].close()
    with open(store.path(KEY), "r+b") as file:
        file.seek(HEADER_SIZE + size // 2)
        file.write(b"!")
    with pytest.raises(LostFrame):
        frame.open()


def test_a_file_under_another_key_is_no_answer(store):
    store.publish(key(1), PAYLOAD)
    target = Path(store.path(key(2)))
    target.parent.mkdir(exist_ok=True)
    os.rename(store.path(key(1)), target)
    with pytest.raises(LostFrame):
        store.find(key(2)).read()


@pytest.mark.parametrize("way", ["open", "read"])
def test_a_frame_that_vanished_is_brought_again(store, way):
    frame = store.publish(KEY, PAYLOAD).recovering(lambda: FrameInMemory(PAYLOAD))
    os.unlink(store.path(KEY))
    if way == "read":
        assert frame.read() == PAYLOAD
    else:
        file, offset = frame.open()
        assert file.read() == PAYLOAD
        assert offset == 0


def test_a_frame_brought_again_with_another_length_is_refused(store):
    frame = store.publish(KEY, PAYLOAD).recovering(lambda: FrameInMemory(PAYLOAD + b"x"))
    os.unlink(store.path(KEY))
    with pytest.raises(LostFrame):
        frame.read()


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "", "a/b", "x\0y", ".." * 40, "é" * 200, "z" * 300])
def test_no_id_leads_out_of_the_store(store, hostile):
    wild = FrameKey("d" * 32, hostile, "f" * 32)
    store.publish(wild, PAYLOAD)
    assert Path(store.path(wild)).resolve().parent.parent == Path(store.root).resolve()
    assert store.find(wild).read() == PAYLOAD


def test_ids_are_not_confused_by_joining():
    first, second = FrameKey("a", "b-c", "d"), FrameKey("a-b", "c", "d")
    assert key_digest(first) != key_digest(second)
    assert FrameStore("x").path(first) != FrameStore("x").path(second)


def test_a_missing_root_is_a_miss_and_a_problem_and_is_made_anew(tmp_path):
    store = FrameStore(tmp_path / "nowhere")
    assert store.find(KEY) is None
    assert store.problem()
    assert store.publish(KEY, PAYLOAD).read() == PAYLOAD
    assert store.problem() is None


def test_a_root_that_is_removed_under_a_running_process_is_made_anew(store):
    store.publish(KEY, PAYLOAD)
    shutil.rmtree(store.root)
    assert store.find(KEY) is None
    assert store.publish(KEY, PAYLOAD).read() == PAYLOAD


@pytest.mark.parametrize("thing", ["folder", "full folder", "pipe", "socket", "loop", "unreadable"])
def test_what_is_no_file_in_place_of_a_frame_is_a_miss(store, thing):
    path = Path(store.path(KEY))
    found = store.publish(KEY, PAYLOAD)
    path.unlink()
    if thing.endswith("folder"):
        path.mkdir()
        if thing.startswith("full"):
            (path / "x").touch()
    elif thing == "pipe":
        os.mkfifo(path)
    elif thing == "loop":
        path.symlink_to(path)
    elif thing == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        path.write_bytes(b"")
        path.chmod(0)
    assert store.find(KEY) is None
    for way in (found.open, found.read):
        with pytest.raises(LostFrame):
            way()
    if thing.endswith("folder"):
        with pytest.raises(StoreUnwritable):
            store.publish(KEY, PAYLOAD)
        assert not left_over(store.root)
    else:
        assert store.publish(KEY, PAYLOAD).read() == PAYLOAD


def test_the_first_use_of_a_prefetched_frame_is_told_once(store):
    store.publish(KEY, PAYLOAD, prefetched=True)
    assert store.has(KEY)
    assert [store.find(KEY).prefetched for _ in range(3)] == [True, False, False]
    assert store.find(KEY).read() == PAYLOAD


def test_use_is_noted_but_not_at_every_lookup(store):
    store.publish(KEY, PAYLOAD)
    path = store.path(KEY)
    recent = time.time() - 20
    os.utime(path, (recent, recent))
    store.find(KEY)
    assert os.stat(path).st_mtime == pytest.approx(recent)
    os.utime(path, (0, 0))
    store.find(KEY)
    assert os.stat(path).st_mtime > recent


def test_folders_and_files_are_private(store):
    store.publish(KEY, PAYLOAD)
    path = Path(store.path(KEY))
    modes = [p.stat().st_mode & 0o077 for p in (Path(store.root), path.parent, path)]
    assert modes == [0, 0, 0]


def left_over(root: str | Path) -> list[Path]:
    """Files that are still without a name in the store of `root`."""
    return [path for path in (Path(root) / INCOMING).rglob("*") if not path.is_dir()]


def write_until_killed(root: str) -> None:
    store = FrameStore(root, writer="0")
    store.prepare()
    number = 0
    while True:
        number += 1
        store.publish(key(number), number.to_bytes(4, "little") * 50_000)


def test_kill_in_the_middle_of_writing_leaves_no_torn_frame(tmp_path):
    child = SPAWN.Process(target=write_until_killed, args=(str(tmp_path),))
    child.start()
    while not list(tmp_path.glob("[0-9a-f][0-9a-f]/*")):
        time.sleep(0.01)
    time.sleep(0.1)
    child.kill()
    child.join()
    (tmp_path / INCOMING / "0" / "left").write_bytes(b"half")

    store = FrameStore(tmp_path, writer="0")
    store.prepare()
    assert not left_over(tmp_path)
    files = list(tmp_path.glob("[0-9a-f][0-9a-f]/*"))
    assert files
    for number in range(1, len(files) + 1):
        assert store.find(key(number)).read() == number.to_bytes(4, "little") * 50_000


def write_with_a_file_size_limit(root: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    store = FrameStore(root, writer="0")
    store.prepare()
    try:
        store.publish(KEY, PAYLOAD)
    except StoreUnwritable:
        sys.exit(0 if store.publish(key(1), b"small").read() == b"small" else 2)
    sys.exit(1)


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    child = SPAWN.Process(target=write_with_a_file_size_limit, args=(str(tmp_path),))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not left_over(tmp_path)
    assert FrameStore(tmp_path).find(KEY) is None


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_frame_that_is_held_is_opened_once_and_let_go_of(store):
    payload = os.urandom(5000)
    store.publish(KEY, payload)
    before = descriptors()
    frame = store.find(KEY, hold=True).recovering(lambda: pytest.fail("it is there"))
    assert descriptors() == before + 1
    os.unlink(store.path(KEY))
    file, offset = frame.open()
    with file:
        assert os.pread(file.fileno(), 9999, offset) == payload
    store.publish(KEY, payload)
    held = store.find(KEY, hold=True)
    assert held.read() == held.read() == payload
    held = store.find(KEY, hold=True)
    del held, frame
    assert descriptors() == before


@pytest.mark.parametrize("use", ["open", "read"])
def test_a_frame_that_is_held_is_checked_all_the_same(store, use):
    store.publish(KEY, PAYLOAD)
    with open(store.path(KEY), "r+b") as file:
        file.seek(3000)
        file.write(b"??")
    frame = store.find(KEY, hold=True)
    with pytest.raises(LostFrame):
        getattr(frame, use)()
    assert store.find(KEY) is None
