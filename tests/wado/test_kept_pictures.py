"""Rendered images are made once, found again by other processes, and never by a wrong name (R-11)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dicomweb_gateway.wado.kept_pictures import KeptPictures


def never():
    raise AssertionError("it was made again")


def asked_twice(folder):
    pictures = KeptPictures(folder, 1 << 20)
    assert pictures.get("a", lambda: b"picture") == b"picture"
    assert pictures.get("a", never) == b"picture"
    return pictures


def test_what_is_asked_once_is_written_nowhere(tmp_path):
    assert KeptPictures(tmp_path, 1 << 20).get("a", lambda: b"picture") == b"picture"
    assert not list(tmp_path.rglob("*"))


def test_a_picture_is_written_once(tmp_path):
    pictures = asked_twice(tmp_path)
    (path,) = tmp_path.rglob("*.picture")
    path.unlink()
    assert pictures.get("a", never) == b"picture"
    assert not list(tmp_path.rglob("*.picture"))


def test_a_picture_asked_again_is_found_by_the_next_process(tmp_path):
    asked_twice(tmp_path)
    again = KeptPictures(tmp_path, 1 << 20)
    assert again.get("a", never) == b"picture"
    assert again.get("b", lambda: b"other") == b"other"


def test_a_damaged_file_is_made_anew(tmp_path):
    asked_twice(tmp_path)
    (path,) = tmp_path.rglob("*.picture")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert KeptPictures(tmp_path, 1 << 20).get("a", lambda: b"picture") == b"picture"


def test_nothing_is_kept_without_a_budget(tmp_path):
    pictures, made = KeptPictures(tmp_path, 0), []
    for _ in range(2):
        pictures.get("a", lambda: made.append(1) or b"picture")
    assert made == [1, 1]
    assert not list(tmp_path.rglob("*.picture"))


def test_a_disk_that_refuses_costs_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    asked_twice(tmp_path / "file")


def test_a_failure_is_not_kept(tmp_path):
    pictures = KeptPictures(tmp_path, 1 << 20)

    def fails():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        pictures.get("a", fails)
    assert pictures.get("a", lambda: b"picture") == b"picture"


def test_many_at_once_cause_one(tmp_path):
    pictures, begun, go_on, made = KeptPictures(tmp_path, 1 << 20), Event(), Event(), []

    def make():
        made.append(1)
        begun.set()
        go_on.wait(30)
        return b"picture"

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(pictures.get, "a", make)
        begun.wait(30)
        others = [threads.submit(pictures.get, "a", make) for _ in range(7)]
        go_on.set()
        assert {one.result(30) for one in (first, *others)} == {b"picture"}
    assert made == [1]
