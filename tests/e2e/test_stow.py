"""STOW-RS over real sockets: real clients, several processes, lies, clients that leave, kill -9 (S-1)."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian

from tests.emulator.files import ROOT, ct_slice
from tests.stow.parts import CONTENT_TYPE, framed, part10

from .running import Demo, start_demo

LIMIT = 8 << 20
PATIENCE = 120


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("stow")
    source = folder / "in"
    source.mkdir()
    (source / "one.dcm").write_bytes(part10(ct_slice(1, study=90)))
    options = ("--set", f"store_max_bytes={LIMIT}", "--set", "web_processes=2")
    demo = start_demo(folder / "demo", [source], *options)
    yield demo
    assert demo.stop() == 0


def store(demo: Demo, *contents: bytes, path: str = "/studies") -> requests.Response:
    # a connection of its own, so that any of the web processes may get it
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/dicom+json"}
    return requests.post(demo.base + path, data=framed(*contents), headers=headers, timeout=PATIENCE)


def number(demo: Demo, study: int) -> int:
    url = f"{demo.base}/studies/{ROOT}.{study}/instances"
    return len(requests.get(url, timeout=PATIENCE).json())


def test_what_dicomweb_client_stores_it_reads_back(demo: Demo) -> None:
    client = DICOMwebClient(url=demo.base)
    names = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_jpeg_dcmtk.dcm")
    sent = [dcmread(str(get_testdata_file(name, download=False))) for name in names]
    answer = client.store_instances(sent)
    assert [one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence] == [
        one.SOPInstanceUID for one in sent
    ]
    for one in sent[:2]:
        uids = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        back = client.retrieve_instance(*uids, media_types=(("application/dicom", ExplicitVRLittleEndian),))
        assert back.PixelData == one.PixelData
        assert_same_elements(one, back)


def assert_same_elements(sent: Dataset, back: Dataset) -> None:
    """All elements come back but the character set, which is that of the answer, and trailing padding."""
    for element in sent:
        if element.keyword not in ("SpecificCharacterSet", "PixelData", "DataSetTrailingPadding"):
            assert element.tag in back, element
            assert back[element.tag].value == element.value, element


def test_what_is_stored_is_seen_by_all_processes_at_once(demo: Demo) -> None:
    for stored in range(1, 5):
        assert store(demo, part10(ct_slice(stored, study=91))).status_code == 200
        series = f"{demo.base}/studies/{ROOT}.91/series/{ROOT}.91.1"
        for _ in range(6):
            rows = requests.get(f"{series}/metadata", timeout=PATIENCE).json()
            assert len(rows) == stored
            frame = requests.get(f"{series}/instances/{ROOT}.91.1.{stored}/frames/1", timeout=PATIENCE)
            assert frame.status_code == 200


def test_curl_stores(demo: Demo, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(framed(part10(ct_slice(1, study=92, size=1024))))
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
        command = ["curl", "-sS", "-o", str(tmp_path / "answer"), "-w", "%{http_code}"]
        command += ["-H", f"Content-Type: {CONTENT_TYPE}", "--data-binary", f"@{body}", *more]
        done = subprocess.run([*command, f"{demo.base}/studies"], capture_output=True, text=True, check=True)
        assert done.stdout == "200", (tmp_path / "answer").read_text()
    assert number(demo, 92) == 1


def test_long_bodies_are_for_storing_only(demo: Demo) -> None:
    large = part10(ct_slice(1, study=93, size=2048))
    assert len(large) > LIMIT
    assert store(demo, large).status_code == 413
    assert store(demo, bytes(2 << 20), path="/studies/1.2/series").status_code == 413
    assert store(demo, bytes(2 << 20)).status_code == 409


def test_a_client_that_leaves_stores_nothing(demo: Demo) -> None:
    body = framed(part10(ct_slice(1, study=94)), part10(ct_slice(2, study=94)))
    host, port = demo.root.removeprefix("http://").split(":")
    for sent in (0, 100, len(body) // 2, len(body) - 1):
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST /aetitle/studies HTTP/1.1\r\nHost: {host}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:sent])
    lying = requests.post(
        f"{demo.base}/studies", data=body[:-20], headers={"Content-Type": CONTENT_TYPE}, timeout=PATIENCE
    )
    assert lying.status_code == 400
    assert number(demo, 94) == 0
    spool = list(Path(demo.log.parent, "cache").rglob("spool/*"))
    assert spool == []


def test_killed_in_the_middle_and_sent_again(demo: Demo) -> None:
    parts = [part10(ct_slice(one, study=95)) for one in range(1, 121)]
    statuses: list[int] = []

    def send() -> None:
        try:
            statuses.append(store(demo, *parts).status_code)
        except requests.ConnectionError:
            statuses.append(0)

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.4)
    for pid in demo.children("web")[-2:]:
        os.kill(pid, signal.SIGKILL)
    thread.join()
    assert statuses[0] in (0, 200)
    until = time.monotonic() + PATIENCE
    while statuses[-1] != 200:
        assert time.monotonic() < until, statuses
        time.sleep(0.5)
        send()
    assert number(demo, 95) == 120
    rows = requests.get(f"{demo.base}/studies?StudyInstanceUID={ROOT}.95", timeout=PATIENCE).json()
    assert rows[0]["00201208"]["Value"] == [120]
