"""Level bounds are read once a frame and forgotten in the order of use (F-11)."""

import numpy as np
import pytest

from dicomweb_gateway.errors import CorruptFrame
from dicomweb_gateway.frames.level_bounds import LevelBounds
from dicomweb_gateway.frames.stored_frame import FrameInMemory
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.pixels.encoders import encode_htj2k
from dicomweb_gateway.tlm.levels import level_bounds

STREAM = encode_htj2k(np.arange(128 * 128, dtype="<u2").reshape(128, 128))


class Counted(FrameInMemory):
    def __init__(self, payload: bytes) -> None:
        super().__init__(payload)
        self.reads = 0

    def read(self) -> bytes:
        self.reads += 1
        return super().read()


def key(number: int) -> FrameKey:
    return FrameKey("d", "i", str(number))


def test_a_frame_is_read_once():
    bounds, frame = LevelBounds(), Counted(STREAM)
    assert bounds.of(key(1), frame) == bounds.of(key(1), frame) == level_bounds(STREAM)
    assert frame.reads == 1


def test_the_least_used_is_forgotten():
    bounds, frame = LevelBounds(capacity=2), Counted(STREAM)
    for number in (1, 2, 1, 3, 1):
        bounds.of(key(number), frame)
    assert frame.reads == 3
    bounds.of(key(2), frame)
    assert frame.reads == 4


def test_other_codings_have_none_and_torn_headers_are_refused():
    assert LevelBounds().of(key(1), FrameInMemory(b"\xff\xd8 jpeg")) == ()
    with pytest.raises(CorruptFrame):
        LevelBounds().of(key(2), FrameInMemory(STREAM[:30]))
