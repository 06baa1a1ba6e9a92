"""A decoder process with codecs that do what a hostile frame might make a real one do."""

import ctypes
import os
import sys

import numpy as np

from dicomweb_gateway.pixels.worker import CODECS, main


def hang(data: bytes) -> np.ndarray:
    """In C and with the interpreter lock held, so that no Python code of this process can help."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def crash(data: bytes) -> np.ndarray:
    os.abort()


def leave(data: bytes) -> np.ndarray:
    os._exit(0)


def eat(data: bytes) -> np.ndarray:
    return np.ones(1 << 40, "u1")


def look(data: bytes) -> np.ndarray:
    """The number of this process."""
    return np.array([os.getpid()], "i8")


if __name__ == "__main__":
    CODECS.update({codec.__name__: codec for codec in (hang, crash, leave, eat, look)})
    main(*map(int, sys.argv[1:]))
