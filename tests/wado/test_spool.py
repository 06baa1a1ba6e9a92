"""Frames that wait outside memory: slices, several readers, full disks, nothing left behind (M-7)."""

import gc
import os

import pytest

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import StorageUnavailable
from dicomweb_gateway.wado import spool as spool_module
from dicomweb_gateway.wado.body import FrameSlice, read_segment
from dicomweb_gateway.wado.spool import IN_MEMORY, Spool
from dicomweb_gateway.web.files import SegmentFile

PIECES = [b"abc", os.urandom(IN_MEMORY), b"", os.urandom(70_001)]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("pieces", [PIECES, PIECES[:1], [b"x" * IN_MEMORY]], ids=["file", "memory", "edge"])
def test_what_was_added_comes_back_in_any_order(tmp_path, pieces):
    spool = Spool(SpoolSpace(tmp_path / "spool"))
    frames = [spool.add(piece) for piece in pieces]
    assert [frame.length for frame in frames] == [len(piece) for piece in pieces]
    assert [frame.read() for frame in reversed(frames)] == pieces[::-1]
    last = frames[-1]
    half = FrameSlice(last, last.length // 2, last.length - last.length // 2)
    assert read_segment(half) == pieces[-1][last.length // 2 :]
    body = SegmentFile([b"head", *(FrameSlice(frame, 0, frame.length) for frame in frames), half, b"tail"])
    whole = b"head" + b"".join(pieces) + pieces[-1][last.length // 2 :] + b"tail"
    assert body.read() == whole
    body.seek(-10, os.SEEK_END)
    assert body.read(3) == whole[-10:-7]
    body.close()


def test_readers_do_not_move_each_other(tmp_path):
    spool = Spool(SpoolSpace(tmp_path))
    first, second = spool.add(b"0123456789"), spool.add(b"x" * IN_MEMORY)
    files = [first.open()[0], first.open()[0], second.open()[0]]
    assert [file.read(4) for file in files] == [b"0123", b"0123", b"xxxx"]
    assert [file.read() for file in files[:2]] == [b"456789", b"456789"]
    for file in files:
        file.close()


def test_little_needs_no_file_and_a_file_has_no_name(tmp_path):
    folder = tmp_path / "spool"
    spool = Spool(SpoolSpace(folder))
    spool.add(b"x" * IN_MEMORY)
    assert not folder.exists()
    spool.add(b"x")
    assert list(folder.iterdir()) == []


def test_the_file_lasts_as_long_as_its_frames(tmp_path):
    gc.collect()
    before = descriptors()
    spool = Spool(SpoolSpace(tmp_path))
    frame = spool.add(b"x" * (IN_MEMORY + 1))
    del spool
    assert descriptors() == before + 1
    assert len(frame.read()) == IN_MEMORY + 1
    del frame
    assert descriptors() == before


def test_the_free_space_floor_is_kept(tmp_path):
    spool = Spool(SpoolSpace(tmp_path, min_free_bytes=1 << 60))
    assert spool.add(b"small").read() == b"small"
    with pytest.raises(StorageUnavailable, match="too full"):
        spool.add(b"x" * IN_MEMORY)


def test_a_failing_disk_is_told_as_such(tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module.os, "write", full)
    with pytest.raises(StorageUnavailable, match="no room"):
        Spool(SpoolSpace(tmp_path)).add(b"x" * (IN_MEMORY + 1))


def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        Spool(SpoolSpace(tmp_path / "file")).add(b"x" * (IN_MEMORY + 1))


def test_the_end_of_an_answer_ends_the_file_though_the_server_keeps_the_object(tmp_path):
    gc.collect()
    before = descriptors()
    frame = Spool(SpoolSpace(tmp_path)).add(b"x" * (IN_MEMORY + 1))
    body = SegmentFile([FrameSlice(frame, 0, frame.length)])
    del frame
    assert body.read(10) == b"x" * 10
    assert descriptors() == before + 1
    body.close()
    assert descriptors() == before
    assert body.read() == b""
