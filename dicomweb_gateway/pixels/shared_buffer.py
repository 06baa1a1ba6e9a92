"""Bytes that two processes share as an anonymous file (memfd): frames go in, samples come out.

It is read and written, never mapped: a process that shortens it leaves the other one a short read and not a
SIGBUS.
"""

import os
from math import prod

import numpy as np

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.optionals import Samples

_KEPT_BYTES = 16 << 20


def make_buffer() -> int:
    """The descriptor of a new, empty buffer."""
    return os.memfd_create("frame")


def put(descriptor: int, data: bytes | Samples) -> None:
    """Write `data` from the start on; an array must be contiguous."""
    left = memoryview(data).cast("B") if isinstance(data, bytes) else _bytes_of(data)
    position = 0
    while position < len(left):
        position += os.pwrite(descriptor, left[position:], position)


def take(descriptor: int, shape: tuple[int, ...], dtype: str) -> Samples:
    """A new array of numbers out of the first bytes. Raises UndecodablePixels when there are too few.

    The other side says shape and dtype, and a hostile frame may have taken it over.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "uif" or not 0 < prod(shape) * kind.itemsize <= os.fstat(descriptor).st_size:
        raise UndecodablePixels("the decoder handed out fewer samples than it said")
    samples = np.empty(shape, kind)
    left = _bytes_of(samples)
    position = 0
    while position < len(left):
        read = os.preadv(descriptor, [left[position:]], position)
        if read == 0:
            raise UndecodablePixels("the decoder handed out fewer samples than it said")
        position += read
    return samples


def _bytes_of(samples: Samples) -> memoryview:
    view: memoryview = samples.reshape(-1).view("u1").data
    return view


def shrink(descriptor: int) -> None:
    """Give the memory of a large frame back; that of a usual one is kept, which saves the next one time."""
    if os.fstat(descriptor).st_size > _KEPT_BYTES:
        os.ftruncate(descriptor, 0)
