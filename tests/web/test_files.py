"""A body of segments as one file, against the joined bytes (DESIGN 2)."""

import os
import random
from io import BytesIO

import pytest

from dicomweb_gateway.frames.stored_frame import FrameInMemory
from dicomweb_gateway.wado.body import FrameSlice
from dicomweb_gateway.web.files import SegmentFile


class FileFrame:
    """A stored frame on disk behind a header of some bytes; counts what is open."""

    def __init__(self, folder, payload, header=20):
        self.path = folder / f"{random.getrandbits(64):x}"
        self.path.write_bytes(bytes(header) + payload)
        self._header = header
        self.length = len(payload)
        self.opened = []

    def open(self):
        file = self.path.open("rb")
        self.opened.append(file)
        return file, self._header

    def read(self):
        return self.path.read_bytes()[self._header :]


@pytest.fixture
def made(tmp_path):
    """(segments, the same joined)."""
    chance = random.Random(7)
    segments, expected = [], b""
    for number in range(40):
        data = chance.randbytes(chance.choice([0, 1, 7, 300, 5000]))
        start = chance.randrange(len(data) + 1)
        length = chance.randrange(len(data) - start + 1)
        if number % 3 == 0:
            segments.append(data)
            expected += data
        else:
            frame = FrameInMemory(data) if number % 3 == 1 else FileFrame(tmp_path, data)
            segments.append(FrameSlice(frame, start, length))
            expected += data[start : start + length]
    return segments, expected


def test_random_reads_agree_with_the_bytes(made):
    segments, expected = made
    file, oracle = SegmentFile(segments), BytesIO(expected)
    assert len(file) == len(expected) > 10_000
    chance = random.Random(11)
    for _ in range(2000):
        if chance.random() < 0.3:
            offset, whence = chance.choice(
                [
                    (chance.randrange(len(expected) + 10), os.SEEK_SET),
                    (chance.randrange(50), os.SEEK_CUR),
                    (-chance.randrange(len(expected)), os.SEEK_END),
                ]
            )
            assert file.seek(offset, whence) == oracle.seek(offset, whence)
        size = chance.choice([-1, 0, 1, 3, 100, 8192])
        assert file.read(size) == oracle.read(size)
        assert file.tell() == oracle.tell()
    file.close()


def test_one_frame_file_is_open_at_a_time_and_none_after_close(tmp_path):
    frames = [FileFrame(tmp_path, bytes([n]) * 10) for n in range(3)]
    file = SegmentFile([FrameSlice(frame, 0, 10) for frame in frames])
    for _ in range(6):
        file.read(5)
        handles = [handle for frame in frames for handle in frame.opened]
        assert sum(not handle.closed for handle in handles) == 1
    file.close()
    file.close()
    assert all(handle.closed for frame in frames for handle in frame.opened)
    assert [len(frame.opened) for frame in frames] == [1, 1, 1]


def test_a_frame_that_shrank_cuts_the_answer(tmp_path):
    frame = FileFrame(tmp_path, b"x" * 100)
    file = SegmentFile([b"head", FrameSlice(frame, 0, 100)])
    os.truncate(frame.path, 50)
    assert file.read(4) == b"head"
    with pytest.raises(OSError, match="shorter"):
        file.read()
    file.close()


def test_an_empty_body():
    file = SegmentFile([])
    assert (len(file), file.read(), file.read(5)) == (0, b"", b"")
    assert file.seekable()
