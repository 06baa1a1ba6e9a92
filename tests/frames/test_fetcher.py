"""The fetcher in this process, before an image set store that misbehaves in ways HTTP cannot show."""

import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.errors import (
    CorruptFrame,
    FetchersUnavailable,
    UpstreamFailed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dicomweb_gateway.frames import bringing, checked_files
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.frames.fetcher import Fetcher
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.frames.sockets import listen
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.imagesets.pacing import is_urgent
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
def fetching(folder: Path, answers: Answers, in_flight: int = 2, budget: int = 1 << 30):
    config = FetcherConfig(str(folder / "frames"), budget, 0, fetches_in_flight=in_flight)
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
    "trouble",
    [RuntimeError("a bug"), MemoryError(), KeyError("imageFrameBlob"), UpstreamFailed("a half \ud800")],
    ids=repr,
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
    monkeypatch.setattr(bringing, "_LARGE", 1)
    running, most, lock = 0, 0, threading.Lock()

    def check(payload, wanted, verify):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    monkeypatch.setattr(bringing, "check", check)
    answers = Answers(*(raw_frame(number) for number in range(8)))
    with fetching(tmp_path, answers, in_flight=8) as pool:
        found = list(pool.get_many([raw_wanted(number) for number in range(8)], 8))
    assert (len(found), most) == (8, 2)


class Scripted(Answers):
    """What a call gives is told by `answer`, given how often it was called and what with."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[tuple[float, bool]] = []

    def frame(self, key, deadline=None, urgent=True):
        self.asked.append((deadline - time.monotonic(), is_urgent(urgent)))
        self.calls += 1
        return self.answer(key)


def test_the_deadline_of_the_request_reaches_healthimaging(tmp_path):
    source = Scripted(lambda key: raw_frame(1))
    with fetching(tmp_path, source) as pool:
        pool.get(raw_wanted(1), deadline=time.monotonic() + 3)
    ((seconds, urgent),) = source.asked
    assert 1 < seconds <= 3
    assert urgent


def test_who_joins_later_waits_longer(tmp_path):
    """The first asker gives up; what was cut off for it is tried again for the second."""
    joined = threading.Event()

    def answer(key):
        if source.calls == 1:
            joined.wait(5)
            time.sleep(0.2)
            raise UpstreamTimeout("cut")
        return raw_frame(1)

    source = Scripted(answer)
    with fetching(tmp_path, source) as pool, ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.get, raw_wanted(1), time.monotonic() + 1)
        while not source.calls:
            time.sleep(0.01)
        second = threads.submit(pool.get, raw_wanted(1), time.monotonic() + 10)
        time.sleep(0.1)
        joined.set()
        assert second.result(10).read() == raw_frame(1)
        first.result(10)
    assert source.asked[1][0] > 5


def test_a_throttled_prefetch_that_is_asked_for_meanwhile_is_tried_as_urgent(tmp_path):
    demanded = threading.Event()

    def answer(key):
        if source.calls == 1:
            demanded.wait(5)
            raise UpstreamThrottled("prefetch has to wait")
        return raw_frame(1)

    source = Scripted(answer)
    with fetching(tmp_path, source) as pool, ThreadPoolExecutor(1) as threads:
        pool.prefetch([raw_wanted(1)])
        while not source.calls:
            time.sleep(0.01)
        asked = threads.submit(pool.get, raw_wanted(1))
        while not pool.stats()["fetchers"][0]["prefetch_promoted"]:
            time.sleep(0.01)
        demanded.set()
        assert asked.result(10).read() == raw_frame(1)
    assert [urgent for _, urgent in source.asked] == [False, True]


def test_a_store_that_is_down_ends_prefetching(tmp_path):
    def answer(key):
        time.sleep(0.05)
        raise UpstreamUnavailable("down")

    source = Scripted(answer)
    with fetching(tmp_path, source, in_flight=2) as pool:
        pool.prefetch([raw_wanted(n) for n in range(50)])
        while pool.stats()["fetchers"][0]["prefetch_dropped"] != 49:
            time.sleep(0.01)
    assert source.calls == 1


def test_what_no_store_takes_is_kept_for_the_next_who_ask(tmp_path):
    with fetching(tmp_path, Answers(raw_frame(1)), budget=4096) as pool:
        assert [pool.get(raw_wanted(1)).read() for _ in range(5)] == [raw_frame(1)] * 5
        assert pool.stats()["fetchers"][0]["unstored"] == 1


def test_a_stored_frame_that_the_disk_does_not_give_back_is_fetched(tmp_path, monkeypatch):
    """Its header reads well, its payload does not, and nobody can remove it: a disk that died read-only."""
    answers = Answers(raw_frame(1), raw_frame(1))
    with fetching(tmp_path, answers) as pool:
        found = pool.get(raw_wanted(1))
        numbers = count()
        monkeypatch.setattr(checked_files.frame_file, "payload_checksum", lambda name, payload: next(numbers))
        monkeypatch.setattr(checked_files, "remove", lambda path: None)
        assert found.read() == raw_frame(1)
    assert answers.calls == 2


STUCK = """
import os, socket, threading, time
from dicomweb_gateway.frames import fetcher, fetcher_process
from dicomweb_gateway.frames.config import FetcherConfig

class Hanging:
    def frame(self, key, deadline=None, urgent=True):
        {call}
    def counters(self):
        return {{}}

fetcher._PAST_HOPE = 0.5
fetcher_process.HealthImaging = lambda *_, **__: Hanging()
config = FetcherConfig({root!r}, 1 << 30, 0, fetches_in_flight=2, stuck_seconds={stuck})
fetcher_process.run_fetcher(socket.socket(fileno={door}), config)
"""


@pytest.mark.parametrize(
    ("call", "stuck", "code"),
    [
        ("time.sleep(60)", 60, 70),
        # one C call that never lets another thread run: the loop does not turn
        ("import re; re.match('(a|a)*b', 'a' * 60)", 1.5, 1),
    ],
    ids=["all threads hang", "the interpreter hangs"],
)
def test_a_fetcher_that_is_stuck_ends_itself(tmp_path, call, stuck, code):
    address = str(tmp_path / "run" / "f0")
    with listen(address) as door:
        script = STUCK.format(call=call, stuck=stuck, root=str(tmp_path / "frames"), door=door.fileno())
        process = subprocess.Popen(
            [sys.executable, "-c", script], pass_fds=[door.fileno()], stderr=subprocess.DEVNULL
        )
        pool = FramePool([address], FrameStore(tmp_path / "frames"), 0.5)
        try:
            while not pool.stats()["fetchers"][0]:
                time.sleep(0.05)
            for number in (1, 2):
                with pytest.raises((UpstreamTimeout, FetchersUnavailable)):
                    pool.get(raw_wanted(number))
            assert process.wait(20) == code
        finally:
            pool.close()
            process.kill()
            process.wait()
