"""Real fetcher processes before a small HTTP server; the tests play the master."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import orjson
import pytest

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.frames.sockets import listen
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.pixels.encoders import encode_htj2k
from tests.frames.upstream import Upstream

FETCHER = """
import socket, sys, orjson
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher_process import run_fetcher
config = FetcherConfig(**orjson.loads(sys.argv[2]))
with socket.socket(fileno=int(sys.argv[1])) as listening:
    run_fetcher(listening, config)
"""
STORE, IMAGE_SET = "d" * 32, "1" * 32


def key_of(number: int) -> FrameKey:
    return FrameKey(STORE, IMAGE_SET, f"{number:032x}")


def raw_frame(number: int, size: int = 20_000) -> bytes:
    return number.to_bytes(4, "little") * (size // 4)


def raw_wanted(number: int) -> WantedFrame:
    return WantedFrame(key_of(number), EXPLICIT_VR_LE, crc32(raw_frame(number)), 2)


def htj2k_frame(number: int) -> tuple[bytes, WantedFrame]:
    samples = np.random.default_rng(number).integers(-500, 500, (96, 80), dtype=np.int16)
    checksum = crc32(samples.astype("<i2").tobytes())
    return encode_htj2k(samples), WantedFrame(key_of(number), HTJ2K_LOSSLESS_RPCL, checksum, 2)


class Fetchers:
    """The master's part: keeps the listening sockets, starts and replaces fetchers."""

    def __init__(self, folder: Path, url: str, count: int, **settings) -> None:
        self.folder = folder
        self.root = folder / "frames"
        self.addresses = [str(folder / "run" / f"f{number}") for number in range(count)]
        self._listening = [listen(address) for address in self.addresses]
        self._pools: list[FramePool] = []
        self._settings = {
            "cache_root": str(self.root),
            "cache_max_bytes": 1 << 30,
            "min_free_bytes": 0,
            "endpoint_url": url,
            "fetches_in_flight": 8,
            "fetchers": count,
            "connect_timeout": 2,
            "read_timeout": 5,
            **settings,
        }
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        descriptor = self._listening[number].fileno()
        settings = orjson.dumps({**self._settings, "number": number})
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", FETCHER, str(descriptor), settings],
            pass_fds=[descriptor],
            env=environment,
        )

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()

    def replace(self, number: int) -> None:
        self.processes[number] = self._start(number)

    def pool(self, timeout: float = 20) -> FramePool:
        pool = FramePool(self.addresses, FrameStore(self.root), timeout)
        self._pools.append(pool)
        return pool

    def end(self) -> None:
        for pool in self._pools:
            pool.close()
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for listening in self._listening:
            listening.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream):
    """`start(count, **settings)` starts that many fetchers; all end with the test."""
    running: list[Fetchers] = []

    def start_fetchers(count: int = 1, **settings) -> Fetchers:
        running.append(Fetchers(tmp_path, upstream.url, count, **settings))
        return running[-1]

    yield start_fetchers
    for fetchers in running:
        fetchers.end()
