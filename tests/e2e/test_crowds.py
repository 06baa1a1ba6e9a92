"""Many clients at once: metadata of all series of a study, readers that do not read, clients that leave.

One gateway of two web processes with few threads each, so that a crowd is soon one.
"""

import http.client
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.emulator.files import ROOT, ct_slice, save

from .faulty import DECODED, STORED
from .house import House, wait_for

SERIES = 150
LARGE, SLICES, SIDE = SERIES + 1, 12, 1024
FRAMES = SERIES + 2
COLD = 30
THREADS = 8
STREAMS = 4
FETCHES = 4
RATE = 45
"""METADATA_RATE_LIMIT's default; a second's worth may come at once."""
DECODED_FILES = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
SOON = 10
"""Seconds; what waited for a crowd would take FRAME_TIMEOUT."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("crowds")
    for series in range(1, SERIES + 1):
        save(ct_slice(1, series, 1, 16), folder / "in" / f"{series}.dcm")
    for place in range(1, SLICES + 1):
        save(ct_slice(place, LARGE, 1, SIDE), folder / "in" / f"large-{place}.dcm")
    for place in range(1, COLD + 1):
        save(ct_slice(place, FRAMES, 1, 16), folder / "in" / f"frames-{place}.dcm")
    settings = {
        "FRAME_TIMEOUT": "40",
        "WEB_PROCESSES": "2",
        "WEB_THREADS": str(THREADS),
        "MAX_STREAMS": str(STREAMS),
        "FETCHER_PROCESSES": "1",
        "FETCHES_IN_FLIGHT": str(FETCHES),
        "PREFETCH": "false",
    }
    house = House(folder / "house", folder / "in", {**settings, "METADATA_RATE_LIMIT": "0"})
    house.settings["METADATA_RATE_LIMIT"] = str(RATE)
    house.start()
    yield house
    house.close()


def series_path(series: int) -> str:
    return f"/aetitle/studies/{ROOT}.1/series/{ROOT}.1.{series}"


def frame_path(place: int, series: int = FRAMES) -> str:
    return f"{series_path(series)}/instances/{ROOT}.1.{series}.{place}/frames/1"


def ask(house: House, path: str, **headers: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{house.port}{path}", headers=headers, timeout=SOON)


def test_metadata_of_all_series_at_once_all_come_each_is_fetched_once_and_frames_pass_by(
    house: House,
) -> None:
    ask(house, frame_path(1), Accept=STORED)
    house.reset_counters()
    began = time.monotonic()

    def metadata(series: int) -> tuple[int, int]:
        answer = requests.get(
            f"http://127.0.0.1:{house.port}{series_path(series)}/metadata", timeout=60, stream=False
        )
        return answer.status_code, len(answer.json())

    with ThreadPoolExecutor(SERIES) as crowd:
        wanted = [crowd.submit(metadata, series) for series in range(1, SERIES + 1)]
        passed = [ask(house, frame_path(1), Accept=STORED).status_code for _ in range(20)]
        still = sum(not one.done() for one in wanted)
        found = [one.result() for one in wanted]
    assert passed == [200] * 20
    assert still, "the frames came only after all metadata"
    assert found == [(200, 1)] * SERIES
    assert house.counters()["operations"]["GetImageSetMetadata"]["requests"] == SERIES
    # no faster than HealthImaging's quota allows
    assert time.monotonic() - began > (SERIES - RATE) / 50 - 1


def test_slow_readers_are_bounded_and_cost_others_nothing(house: House) -> None:
    assert ask(house, series_path(LARGE), Accept=DECODED_FILES).status_code == 200
    before = memory(house)
    readers = [SlowReader(house, series_path(LARGE)) for _ in range(6 * STREAMS)]
    try:
        answers = [reader.begin() for reader in readers]
        going_out = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status != 200]
        # an answer that is cut off on a busy machine makes room for another
        assert STREAMS <= len(going_out) <= 3 * STREAMS
        assert {(answer.status, bool(answer.getheader("Retry-After"))) for answer in refused} == {(503, True)}
        for place in range(1, 9):
            assert ask(house, frame_path(place), Accept=DECODED).status_code == 200
            assert ask(house, "/health").status_code == 200
        # each of them would be 24 MB
        assert memory(house) - before < 5 * len(going_out) + 30
    finally:
        for reader in readers:
            reader.close()
    wait_for(lambda: ask(house, series_path(LARGE), Accept=DECODED_FILES).status_code == 200, SOON)


def test_clients_that_leave_while_they_wait_free_what_they_waited_for(house: House) -> None:
    house.faults(rules=[{"kind": "hang", "operations": ["GetImageFrame"]}])
    house.reset_counters()
    try:
        waiting = [SlowReader(house, frame_path(9 + number)) for number in range(2 * THREADS + 4)]
        wait_for(lambda: in_flight(house) >= FETCHES, SOON)
        for reader in waiting:
            reader.close()
        # they had taken every thread
        for _ in range(8):
            assert ask(house, "/health").status_code == 200
            assert ask(house, frame_path(1), Accept=STORED).status_code == 200
        time.sleep(1.5)
    finally:
        # whatever hangs is hung up, so that others would be fetched now
        house.faults(rules=[])
    time.sleep(0.5)
    assert len(house.counters()["frames"]) <= FETCHES
    assert ask(house, frame_path(9), Accept=STORED).status_code == 200


def in_flight(house: House) -> int:
    return int(house.counters()["operations"].get("GetImageFrame", {"inFlight": 0})["inFlight"])


def memory(house: House) -> float:
    """PSS of the web processes in MB."""
    kilobytes = 0
    for pid in house.children("web process"):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


class SlowReader:
    """Asks, and reads no more than the head of the answer."""

    def __init__(self, house: House, path: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(house.base).netloc, timeout=30)
        self._socket = self._connection.sock = socket.socket()
        self._socket.settimeout(30)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        self._socket.connect(("127.0.0.1", house.port))
        accept = DECODED if "/frames/" in path else DECODED_FILES
        self._connection.request("GET", path, headers={"Accept": accept})

    def begin(self) -> http.client.HTTPResponse:
        return self._connection.getresponse()

    def close(self) -> None:
        # a response that is still read from would keep the socket open
        os.close(self._socket.detach())
