"""Memory for decoding stays at hand from frame to frame; what is not used any more is given back."""

import subprocess
import sys

import pytest

_DECODING = """
import resource, threading
from dicomweb_gateway.service.memory import bound_allocator
bound_allocator()
import numpy as np
from dicomweb_gateway.pixels.encoders import encode_htj2k
from dicomweb_gateway.pixels.optionals import decode_openjph

stream = encode_htj2k(np.random.default_rng(1).integers(-999, 999, (512, 512), np.int16))

def faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt

def work():
    for _ in range(3):
        decode_openjph(stream)
    before = faults()
    for _ in range(10):
        decode_openjph(stream)
    print((faults() - before) / 10)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""

_HOLES = """
import os
from dicomweb_gateway.service.memory import bound_allocator, give_back
bound_allocator()

def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

base = megabytes()
size = 1 << 20
pieces = [(b"x" * size, b"y" * (size >> 5)) for _ in range(60)]
pins = [small for _, small in pieces]
del pieces
kept = megabytes() - base
give_back()
print(kept, megabytes() - base)
"""


def output_of(program: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults of a thread")
def test_decoding_takes_its_memory_from_the_system_once():
    (faults,) = output_of(_DECODING)
    assert faults < 40


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_lies_free_between_pieces_in_use_is_given_back():
    kept, left = output_of(_HOLES)
    assert left < kept / 3
