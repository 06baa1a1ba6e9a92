"""Differences: undone by hand, they are the samples again."""

import numpy as np
import pytest

from dicomweb_gateway.pixels.differences import differences, has_differences


def undone(data, shape, dtype):
    """By the words of `differences` alone, one sample after the other."""
    rows, columns, samples = (*shape, 1)[:3]
    wide = np.dtype(dtype).itemsize
    planes = np.frombuffer(data, "u1").reshape(wide, samples, rows * columns)
    made = np.zeros((rows, columns, samples), np.int64)
    for row, column, sample in np.ndindex(rows, columns, samples):
        coded = sum(int(planes[byte, sample, row * columns + column]) << 8 * byte for byte in range(wide))
        step = coded // 2 if coded % 2 == 0 else -(coded // 2) - 1
        before = made[row, column - 1, sample] if column else made[row - 1, 0, sample] if row else 0
        made[row, column, sample] = (before + step) % (1 << 8 * wide)
    return made.astype(f"u{wide}").view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2"])
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 3), (1, 1)])
def test_nothing_is_lost(dtype, shape):
    kind = np.iinfo(dtype)
    samples = np.random.default_rng(5).integers(kind.min, kind.max, shape, np.dtype(dtype), endpoint=True)
    samples.flat[0] = kind.min
    samples.flat[-1] = kind.max
    assert np.array_equal(undone(differences(samples), shape, dtype), samples)


def test_an_even_picture_is_nearly_nothing():
    data = differences(np.full((9, 9), -1000, "<i2"))
    assert data[1:81] == bytes(80)


def test_only_short_integers_have_them():
    assert has_differences(np.zeros(1, "u1"))
    assert not has_differences(np.zeros(1, "u4"))
    assert not has_differences(np.zeros(1, "f4"))
