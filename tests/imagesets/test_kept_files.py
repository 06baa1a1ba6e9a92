"""Files that may be lost: complete or not there, within a budget, whatever the disk does."""

import os

from dicomweb_gateway.imagesets import kept_files
from dicomweb_gateway.imagesets.kept_files import HEADER, KeptFiles


def keep(files, name, data):
    draft = files.draft(name)
    draft.write(data)
    kept = draft.keep()
    if kept is not None:
        os.close(kept.descriptor)


def read(files, name):
    found = files.open(name)
    if found is None:
        return None
    with os.fdopen(found.descriptor, "rb") as file:
        file.seek(HEADER.size)
        return file.read(found.length)


def test_nobody_sees_a_file_before_it_is_whole(tmp_path):
    files = KeptFiles(tmp_path, 1 << 20, ".x")
    draft = files.draft("a")
    draft.write(b"half")
    assert read(files, "a") is None
    draft.drop()
    assert draft.keep() is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_least_recently_used_goes_first(tmp_path):
    files = KeptFiles(tmp_path, 3 * 1000 + 200, ".x")
    for age, name in ((300, "a"), (200, "b"), (100, "c")):
        keep(files, name, b"1" * 1000)
        os.utime(files.path(name), (files.path(name).stat().st_mtime - age,) * 2)
    assert read(files, "a") is not None
    keep(files, "d", b"1" * 1000)
    assert [read(files, name) is not None for name in "abcd"] == [True, False, True, True]


def test_a_file_larger_than_the_budget_stays_until_the_next(tmp_path):
    files = KeptFiles(tmp_path, 10, ".x")
    keep(files, "a", b"1" * 1000)
    assert read(files, "a") == b"1" * 1000


def test_a_file_is_checked_once_and_again_after_each_change(tmp_path, monkeypatch):
    files = KeptFiles(tmp_path, 1 << 20, ".x")
    keep(files, "a", b"1" * 1000)
    checked = []
    right = kept_files._is_right
    monkeypatch.setattr(kept_files, "_is_right", lambda *given: checked.append(1) or right(*given))
    assert [read(files, "a") is not None for _ in range(2)] == [True, True]
    # so soon after a change the next one might get the same time
    assert len(checked) == 2
    monkeypatch.setattr(kept_files, "_SETTLED", 0)
    assert [read(files, "a") is not None for _ in range(3)] == [True] * 3
    assert len(checked) == 3
    data = bytearray(files.path("a").read_bytes())
    data[-1] ^= 1
    files.path("a").write_bytes(data)
    os.utime(files.path("a"), (1, 1))
    assert read(files, "a") is None
    assert len(checked) == 4


def test_what_a_dead_writer_left_is_removed(tmp_path):
    files = KeptFiles(tmp_path, 10, ".x")
    left = files.path("a").with_name("a.x.1-1.part")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    keep(files, "b", b"1")
    assert not left.exists()


def test_a_disk_that_takes_nothing_keeps_nothing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    files = KeptFiles(tmp_path / "file", 10, ".x")
    keep(files, "a", b"1")
    assert read(files, "a") is None
    with files.lock("a") as ours:
        assert ours


def test_who_waits_too_long_for_a_lock_is_told(tmp_path):
    files = KeptFiles(tmp_path, 10, ".x")
    with files.lock("a") as first, files.lock("a", patience=0.02) as second:
        assert (first, second) == (True, False)
    with files.lock("a", patience=0.02) as again:
        assert again
