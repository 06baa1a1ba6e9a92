"""Series retrieval over a real socket: it streams, in order, and ends when the client leaves (M-8)."""

import http.client
import io
import time
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import urlsplit

import pydicom
import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .running import Demo, start_demo

SERIES = "/studies/1.2.826.0.1.3680043.10.1443.77.1/series/1.2.826.0.1.3680043.10.1443.77.2"
STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
SLICES = 160


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder: Path = tmp_path_factory.mktemp("streaming")
    write_synthetic_series(folder / "in", slices=SLICES, size=64)
    demo = start_demo(folder / "data", [folder / "in"])
    requests.put(f"{demo.emulator}/_emulator/faults", json={"latency_ms": 60}, timeout=10)
    yield demo
    demo.stop()


def fetched(demo: Demo) -> int:
    counters = requests.get(f"{demo.emulator}/_emulator/counters", timeout=10).json()
    return len(counters["frames"])


def test_a_client_that_leaves_stops_the_fetching(demo: Demo) -> None:
    connection = http.client.HTTPConnection(urlsplit(demo.root).netloc, timeout=30)
    connection.request("GET", f"/aetitle{SERIES}", headers=STORED)
    answer = connection.getresponse()
    assert answer.read(200).count(b"Content-Type: application/dicom") == 1
    assert fetched(demo) < SLICES
    answer.close()
    connection.close()
    before, now = -1, fetched(demo)
    while now != before:
        time.sleep(0.4)
        before, now = now, fetched(demo)
    # what was asked for ahead of the client still comes, and nothing more
    assert now < SLICES * 3 // 4


def test_the_whole_series_comes_in_order_with_one_request_a_frame(demo: Demo) -> None:
    answer = requests.get(f"{demo.base}{SERIES}", headers=STORED, timeout=60)
    message = BytesParser().parsebytes(
        f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.content
    )
    parts = [pydicom.dcmread(io.BytesIO(part.get_payload(decode=True))) for part in message.get_payload()]
    assert [int(part.InstanceNumber) for part in parts] == list(range(1, SLICES + 1))
    counters = requests.get(f"{demo.emulator}/_emulator/counters", timeout=10).json()
    assert set(counters["frames"].values()) == {1}
    assert len(counters["frames"]) == SLICES
    assert counters["operations"]["GetImageSetMetadata"]["requests"] <= 2
