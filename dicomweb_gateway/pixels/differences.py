"""Samples as differences to their neighbours, which gzip packs a third smaller; undone without any loss."""

import numpy as np

from dicomweb_gateway.pixels.optionals import Samples


def has_differences(samples: Samples) -> bool:
    """Whether `differences` takes them: integers of 8 or 16 bits."""
    return samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2


def differences(samples: Samples) -> bytes:
    """(rows, columns) or (rows, columns, samples) integers of 8 or 16 bits, as many bytes as they are.

    Each sample less the one to its left, that of the first column less the one above it, modulo the word.
    These count from 0 outwards: 0, -1, 1, -2 ... are 0, 1, 2, 3. Then all low bytes come and all high bytes,
    those of each sample of a pixel apart: red, green, blue.
    """
    words = samples.view(f"u{samples.dtype.itemsize}")
    steps = words.copy()
    steps[:, 1:] -= words[:, :-1]
    steps[1:, 0] -= words[:-1, 0]
    signed = steps.view(f"i{words.dtype.itemsize}")
    outwards = (steps << 1) ^ (signed >> (words.dtype.itemsize * 8 - 1)).view(words.dtype)
    by_pixel = np.ascontiguousarray(outwards).view("u1").reshape(samples.shape[0] * samples.shape[1], -1)
    return np.ascontiguousarray(by_pixel.reshape(len(by_pixel), -1, words.dtype.itemsize).T).tobytes()
