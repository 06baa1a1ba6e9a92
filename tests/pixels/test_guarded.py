"""Decoder processes: what they give back, and what becomes of one that hangs, crashes, eats or dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.errors import DecodersUnavailable, UndecodablePixels
from dicomweb_gateway.pixels import decoder_process, decoders
from dicomweb_gateway.pixels import guarded as module
from dicomweb_gateway.pixels.guarded import DecoderPool, guarded
from dicomweb_gateway.pixels.optionals import decode_jpegls, decode_openjph
from dicomweb_gateway.pixels.poison import Poison
from dicomweb_gateway.pixels.worker import CODECS

GREY = np.random.default_rng(5).integers(0, 4096, (120, 90)).astype("<u2")
CODEC_ROOM = "dicomweb_gateway.pixels.optionals"
MISBEHAVING = "tests.pixels.misbehaving_worker"


@pytest.fixture
def pool():
    with closing(DecoderPool(timeout=0.5, size=1, module=MISBEHAVING)) as made:
        yield made


def process_of(pool: DecoderPool, data: bytes = b"who") -> int:
    """The number of the process that answers."""
    return int(pool.run("look", data, (), 8)[0])


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_samples_and_options_come_through():
    coded = bytes(imagecodecs.htj2k_encode(GREY, reversible=True, resolutions=2))
    assert np.array_equal(guarded(decode_openjph, coded, 0, decoded_bytes=GREY.nbytes), GREY)
    assert guarded(decode_openjph, coded, 1, decoded_bytes=GREY.nbytes).shape == (60, 45)
    lossless = imagecodecs.jpegls_encode(GREY)
    assert np.array_equal(guarded(decode_jpegls, lossless, decoded_bytes=GREY.nbytes), GREY)
    with pytest.raises(UndecodablePixels, match="JPEG-LS"):
        guarded(decode_jpegls, b"junk", decoded_bytes=GREY.nbytes)


def test_every_codec_of_the_decoders_is_known():
    ours = {name for name, found in vars(decoders).items() if getattr(found, "__module__", "") == CODEC_ROOM}
    used = ours - {"crc32"}
    assert "decode_openjpeg" in used
    assert used == set(CODECS)


def test_a_decoder_that_hangs_is_killed_and_its_frame_remembered(pool):
    first = process_of(pool)
    started = time.monotonic()
    with pytest.raises(UndecodablePixels, match=r"longer than 0\.5 seconds"):
        pool.run("hang", b"frame", (), 8)
    assert time.monotonic() - started < 3
    assert not is_running(first)
    started = time.monotonic()
    with pytest.raises(UndecodablePixels, match=r"longer than 0\.5 seconds"):
        pool.run("hang", b"frame", (), 8)
    assert time.monotonic() - started < 0.45
    assert process_of(pool) != first


def test_a_decoder_that_crashes_costs_one_frame(pool):
    for _ in range(2):
        with pytest.raises(UndecodablePixels, match=r"crashed \(signal 6\)"):
            pool.run("crash", b"frame", (), 8)
    with pytest.raises(UndecodablePixels, match="exit code 0"):
        pool.run("leave", b"frame", (), 8)
    assert is_running(process_of(pool))


def test_memory_is_bounded(pool):
    first = process_of(pool)
    with pytest.raises(UndecodablePixels, match="more memory"):
        pool.run("eat", b"frame", (), 8)
    assert process_of(pool) == first


def test_waiting_for_a_busy_decoder_is_bounded(pool):
    with ThreadPoolExecutor(3) as threads:
        bad = [threads.submit(pool.run, "hang", bytes([number]), (), 8) for number in range(3)]
        found = [type(future.exception()) for future in bad]
    assert DecodersUnavailable in found
    assert set(found) == {DecodersUnavailable, UndecodablePixels}


def test_one_bad_frame_takes_one_worker_however_often_it_is_asked_for():
    with (
        closing(DecoderPool(timeout=2, size=2, module=MISBEHAVING)) as pool,
        ThreadPoolExecutor(8) as threads,
    ):
        bad = [threads.submit(pool.run, "hang", b"frame", (), 8) for _ in range(6)]
        time.sleep(0.1)
        assert is_running(process_of(pool))
        assert not any(future.done() for future in bad)
        kinds = {type(future.exception()) for future in bad}
    assert kinds <= {UndecodablePixels, DecodersUnavailable}


def test_a_worker_that_died_while_idle_is_replaced(pool):
    first = process_of(pool)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_running(first))
    assert is_running(process_of(pool))


def test_idle_workers_end():
    with closing(DecoderPool(timeout=5, size=1, idle_seconds=0.1, module=MISBEHAVING)) as pool:
        first = process_of(pool)
        wait_until(lambda: not is_running(first))
        assert process_of(pool) != first


def test_a_worker_that_nobody_waits_for_ends_itself():
    """As after the death of its parent: the alarm is the kernel's, so it rings through any hang."""
    worker = decoder_process.DecoderProcess(MISBEHAVING)
    request = {"codec": "hang", "options": [], "length": 1, "memory": 1 << 30, "seconds": 0.2}
    try:
        with pytest.raises(decoder_process.Died, match=f"signal {signal.SIGALRM.value}"):
            worker.decode(request, b"x", 20)
    finally:
        worker.end()


def test_closing_ends_the_workers(pool):
    first = process_of(pool)
    pool.close()
    assert not is_running(first)
    second = process_of(pool)
    assert not is_running(second)


def test_no_secret_and_no_socket_is_handed_down(pool, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        inode = os.fstat(server.fileno()).st_ino
        process = process_of(pool)
        assert b"do-not-tell" not in Path(f"/proc/{process}/environ").read_bytes()
        held = [os.stat(link).st_ino for link in Path(f"/proc/{process}/fd").iterdir()]
    assert inode not in held
    assert len(held) == 5


def test_a_worker_is_light():
    heavy = ("flask", "sqlalchemy", "boto3", "pydicom", "PIL", "pydantic")
    code = f"import sys, dicomweb_gateway.pixels.worker; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_forked_process_has_its_own_workers():
    current = module._Current()
    parents = current.get()
    assert current.get() is parents
    parents._process_id = 0
    assert current.get() is not parents
    assert (current.get().timeout, current.get().size) == (parents.timeout, parents.size)


def test_limits_can_be_changed():
    current = module._Current()
    before = current.get()
    assert current.configure(7, 3) is current.get() is not before
    assert (current.get().timeout, current.get().size) == (7, 3)
    assert current.configure(7, 3) is current.get()


def test_when_no_process_can_be_started(pool, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with pytest.raises(DecodersUnavailable, match="started"):
        process_of(pool)


def test_poison_is_bounded_and_expires():
    poison = Poison(seconds=0.5, capacity=2)
    for number in range(3):
        poison.add(("codec", bytes([number])), f"reason {number}")
    poison.check(("codec", b"\0"))
    poison.check(("another", b"\2"))
    with pytest.raises(UndecodablePixels, match="reason 2"):
        poison.check(("codec", b"\2"))
    time.sleep(0.55)
    poison.check(("codec", b"\2"))
