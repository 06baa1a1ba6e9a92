"""The fetcher in this process, before an image set store that misbehaves in ways HTTP cannot show."""

import socket
import sys
import threading
import time
import zlib
from collections import deque
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.errors import CorruptFrame, UpstreamFailed
from dicomweb_gateway.frames import fetcher
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher import Fetcher
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.frames.sockets import listen
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from tests.frames.conftest import htj2k_frame, key_of, raw_frame, raw_wanted

SSIZ = 42
"""Offset of the first component's bit depth in a bare codestream: SOC, then 38 bytes into SIZ."""


class Answers:
    """The part of an ImageSetStore that a fetcher uses: what each call for a frame gives or raises."""

    def __init__(self, *answers: bytes | BaseException) -> None:
        self.left = deque(answers)
        self.calls = 0

    def frame(self, key: FrameKey, deadline: float | None = None, urgent: bool = True) -> bytes:
        self.calls += 1
        answer = self.left.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def counters(self) -> dict[str, int | float]:
        return {"calls": self.calls}


@contextmanager
def fetching(folder: Path, answers: Answers, in_flight: int = 2):
    config = FetcherConfig(str(folder / "frames"), 1 << 30, 0, fetches_in_flight=in_flight)
    address = str(folder / "run" / "f0")
    serving = Fetcher(config, answers)
    stop, stopper = socket.socketpair()
    with listen(address) as listening, stop, stopper:
        thread = threading.Thread(target=serving.serve, args=(listening, stop))
        thread.start()
        pool = FramePool([address], FrameStore(config.cache_root), 20)
        try:
            yield pool
        finally:
            pool.close()
            stopper.send(b"!")
            thread.join(10)
    assert not thread.is_alive()


def undecodable(payload: bytes) -> bytes:
    """The codestream with a bit depth that no decoder takes; every marker stays in its place."""
    return payload[:SSIZ] + b"\x25" + payload[SSIZ + 1 :]


@pytest.mark.parametrize(
    "trouble", [RuntimeError("a bug"), MemoryError(), KeyError("imageFrameBlob")], ids=repr
)
def test_no_exception_of_one_request_ends_the_fetcher(tmp_path, trouble):
    with fetching(tmp_path, Answers(trouble, trouble, trouble, raw_frame(2))) as pool:
        for _ in range(3):
            with pytest.raises(UpstreamFailed):
                pool.get(raw_wanted(1))
        assert pool.get(raw_wanted(2)).read() == raw_frame(2)


def test_what_nobody_here_decodes_is_served_when_it_comes_twice_the_same(tmp_path):
    payload, wanted = htj2k_frame(1)
    answers = Answers(undecodable(payload), undecodable(payload))
    with fetching(tmp_path, answers) as pool:
        assert pool.get(wanted).read() == undecodable(payload)
        assert pool.stats()["fetchers"][0]["unverified"] == 1
    assert answers.calls == 2


def test_two_different_undecodable_bodies_are_no_answer(tmp_path):
    payload, wanted = htj2k_frame(1)
    other, _ = htj2k_frame(2)
    answers = Answers(undecodable(payload), undecodable(other))
    with fetching(tmp_path, answers) as pool, pytest.raises(CorruptFrame):
        pool.get(wanted)


def test_a_body_that_decodes_at_the_second_try_is_served(tmp_path):
    payload, wanted = htj2k_frame(1)
    with fetching(tmp_path, Answers(undecodable(payload), payload)) as pool:
        assert pool.get(wanted).read() == payload


@pytest.mark.parametrize("kept", [b"no codestream", b"\xff\x4f\xff\x51", htj2k_frame(1)[0][:-400]])
def test_what_healthimaging_keeps_is_served_as_it_is_kept(tmp_path, kept):
    """Its metadata state the CRC-32 of these very bytes, so nothing was lost on the way (3.6)."""
    wanted = WantedFrame(key_of(1), "1.2.840.10008.1.2.4.90", zlib.crc32(kept))
    answers = Answers(kept)
    with fetching(tmp_path, answers) as pool:
        assert pool.get(wanted).read() == kept
    assert answers.calls == 1


def test_without_a_checksum_the_shape_decides(tmp_path):
    payload, _ = htj2k_frame(1)
    wanted = WantedFrame(key_of(1), HTJ2K_LOSSLESS_RPCL)
    with fetching(tmp_path, Answers(payload[:-2], payload)) as pool:
        assert pool.get(wanted).read() == payload


def test_a_client_that_talks_nonsense_is_hung_up_on(tmp_path):
    with fetching(tmp_path, Answers(raw_frame(1))) as pool:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(tmp_path / "run" / "f0"))
            stranger.settimeout(5)
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while stranger.recv(4096):
                pass
        assert pool.get(raw_wanted(1)).read() == raw_frame(1)


def test_a_thread_that_waits_for_work_holds_no_frame(tmp_path):
    payloads = [bytes(raw_frame(number)) for number in (1, 2)]
    before = [sys.getrefcount(payload) for payload in payloads]
    with fetching(tmp_path, Answers(*payloads)) as pool:
        for number in (1, 2):
            assert pool.get(raw_wanted(number)).read() == raw_frame(number)
        deadline = time.monotonic() + 5
        # what the answers gave away they hold no longer
        while [sys.getrefcount(p) for p in payloads] != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [sys.getrefcount(payload) for payload in payloads] == before


def test_few_large_frames_are_checked_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fetcher, "_LARGE", 1)
    running, most, lock = 0, 0, threading.Lock()

    def check(payload, wanted, verify):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    monkeypatch.setattr(fetcher, "check", check)
    answers = Answers(*(raw_frame(number) for number in range(8)))
    with fetching(tmp_path, answers, in_flight=8) as pool:
        found = list(pool.get_many([raw_wanted(number) for number in range(8)], 8))
    assert (len(found), most) == (8, 2)
