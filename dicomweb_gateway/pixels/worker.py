"""A decoder process: one codec call at a time, in bounded memory and time, so that a crash costs one frame.

Run by `guarded` as `python -m dicomweb_gateway.pixels.worker CONTROL BUFFER`: descriptors of a seqpacket
socket and of a `shared_buffer`. It ends when the socket does. Codecs are all that it imports, and no secret
of the gateway is in its environment.
"""

import resource
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels import optionals
from dicomweb_gateway.pixels.shared_buffer import put, take

MESSAGE = 1 << 16
"""Bytes of a control message at most."""
READY = b"ready"

CODECS: dict[str, Callable[..., optionals.Samples]] = {
    codec.__name__: codec
    for codec in (
        optionals.decode_jpeg,
        optionals.decode_jpegls,
        optionals.decode_jpegxl,
        optionals.decode_lossless_jpeg,
        optionals.decode_openjpeg,
        optionals.decode_openjph,
    )
}
"""Every codec that may be called here, by its function's name."""


def serve(control: socket.socket, buffer: int) -> None:
    """Answer requests until the other side is gone."""
    control.send(READY)
    while request := control.recv(MESSAGE):
        control.send(orjson.dumps(_answer(orjson.loads(request), buffer)))


def _answer(request: dict[str, Any], buffer: int) -> dict[str, Any]:
    """The samples' shape and dtype, the samples themselves being in the buffer, or the reason why not."""
    # Nobody may be left to kill this process when it hangs: the default action of SIGALRM is to end it.
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    _limit(resource.RLIMIT_AS, request["memory"])
    try:
        data = take(buffer, (request["length"],), "u1").tobytes()
        samples = np.ascontiguousarray(CODECS[request["codec"]](data, *request["options"]))
        put(buffer, samples)
    except UndecodablePixels as error:
        return {"error": str(error)[:1000]}
    except (MemoryError, OSError):
        return {"error": "decoding needs more memory than this frame can honestly ask for"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"dtype": samples.dtype.str, "shape": samples.shape}


def _limit(kind: int, wanted: int) -> None:
    """Set a soft limit; a system that does not have it, or allows less, keeps what it has."""
    _, hard = resource.getrlimit(kind)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def main(control: int, buffer: int) -> None:
    """Set this process up and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit(resource.RLIMIT_CORE, 0)
    # where memory runs out all the same, this process is the one to go
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("800")
    warnings.simplefilter("ignore")
    with socket.socket(fileno=control) as connected, suppress(ConnectionError):
        serve(connected, buffer)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
