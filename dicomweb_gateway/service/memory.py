"""How the C library keeps memory: what large frames took is given back."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE = 2 << 20
"""Decoding a slice of 512 x 512 takes buffers of little more than 1 MB: taken from the system anew each time
they cost a quarter of the decoding."""


def bound_allocator() -> None:
    """Make glibc return what is freed to the system; forks inherit it. Other C libraries are left alone.

    By default each of up to eight arenas a core keeps what its threads once took, and the size from which
    on memory is taken and returned piece by piece grows to 32 MB with the first large frame: then a process
    with 64 threads keeps many frames that nobody uses. A value that is set does not grow (mallopt(3)).
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)
