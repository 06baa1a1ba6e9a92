"""Where new files of the store are made."""

import fcntl
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from dicomweb_gateway.frames.incoming import INCOMING, Incoming

GET_FLAGS, TOPDIR = 0x80086601, 0x00020000


def test_names_are_new_and_wander_through_the_folders(tmp_path):
    incoming = Incoming(str(tmp_path), "0")
    incoming.prepare()
    names = [incoming.name() for _ in range(10_000)]
    assert len(set(names)) == len(names)
    folders = [os.path.dirname(name) for name in names]
    assert len(set(folders)) == 64
    assert sum(one != other for one, other in pairwise(folders)) < 100
    for folder in set(folders):
        assert Path(folder).stat().st_mode & 0o077 == 0
        assert Path(folder).is_relative_to(tmp_path / INCOMING / "0")


def test_folders_come_back_and_what_was_left_does_not(tmp_path):
    incoming = Incoming(str(tmp_path), "0")
    incoming.prepare()
    first = Path(incoming.name())
    first.write_bytes(b"half")
    incoming.prepare()
    assert not first.exists()
    assert first.parent.is_dir()
    shutil.rmtree(tmp_path / INCOMING)
    incoming.mend()
    Path(incoming.name()).write_bytes(b"new")


def test_the_folders_are_spread_over_the_disk(tmp_path):
    Incoming(str(tmp_path), "0").prepare()
    if not _is_ext4(tmp_path):
        pytest.skip("only ext4 places files by their folders")
    descriptor = os.open(tmp_path / INCOMING / "0", os.O_RDONLY)
    flags = int.from_bytes(fcntl.ioctl(descriptor, GET_FLAGS, bytes(8)), "little")
    os.close(descriptor)
    assert flags & TOPDIR


def _is_ext4(path: Path) -> bool:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    on_the_way = [row for row in mounts if path.is_relative_to(row[1])]
    return max(on_the_way, key=lambda row: len(row[1]))[2] == "ext4"
