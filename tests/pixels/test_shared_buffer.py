"""The buffer between decoder processes: what goes in comes out, and the other side is not believed."""

import os

import numpy as np
import pytest

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.shared_buffer import make_buffer, put, shrink, take


@pytest.fixture
def buffer():
    descriptor = make_buffer()
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("samples", [np.arange(60, dtype="<i4").reshape(3, 4, 5), np.float32([[1.5]])])
def test_samples_come_back(buffer, samples):
    put(buffer, b"something longer than the samples" * 20)
    put(buffer, samples)
    assert np.array_equal(take(buffer, samples.shape, samples.dtype.str), samples)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((9,), "<u2"), ((1 << 20, 1 << 30), "u1"), ((1,), "|O"), ((1,), "<M8[s]"), ((0,), "u1")],
)
def test_what_the_buffer_cannot_hold_is_refused(buffer, shape, dtype):
    put(buffer, b"0123456789abcdef")
    with pytest.raises(UndecodablePixels):
        take(buffer, shape, dtype)


def test_large_frames_give_their_memory_back(buffer):
    put(buffer, b"small")
    shrink(buffer)
    assert os.fstat(buffer).st_size == 5
    put(buffer, bytes(17 << 20))
    shrink(buffer)
    assert os.fstat(buffer).st_size == 0
