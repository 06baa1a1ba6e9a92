"""Many instances in one STOW-RS request: how long it takes, and what memory the processes have meanwhile.

`python -m tests.benchmarks.store --instances 5000 --size 64` starts a demo, sends one request that is made
while it is sent, and stores the same once more.
"""

import argparse
import http.client
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import requests

from tests.benchmarks.processes import memory_of
from tests.e2e.running import Demo, start_demo
from tests.emulator.files import ct_slice
from tests.stow.parts import BOUNDARY, CONTENT_TYPE, part10

STUDY = 7
_SAMPLE_SECONDS = 0.2


def pieces(instances: int, size: int) -> Iterator[bytes]:
    """The body, part by part; two thousand instances a series."""
    for number in range(1, instances + 1):
        data = part10(ct_slice(number, series=1 + number // 2000, study=STUDY, size=size))
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def store(demo: Demo, instances: int, size: int) -> tuple[int, int, float]:
    """(status, bytes, seconds) of one request, whose body is sent in chunks and is nowhere as a whole."""
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for piece in pieces(instances, size):
            sent += len(piece)
            yield piece

    began = time.monotonic()
    host = demo.root.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=3600)
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/dicom+json"}
    connection.request("POST", "/aetitle/studies", counted(), headers, encode_chunked=True)
    answer = connection.getresponse()
    found = orjson.loads(answer.read())
    connection.close()
    stored = len(found.get("00081199", {}).get("Value", []))
    print(f"status {answer.status}, {stored} instances stored")
    return answer.status, sent, time.monotonic() - began


def main() -> None:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--size", type=int, default=64, help="rows and columns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        (folder / "in" / "one.dcm").write_bytes(part10(ct_slice(1, study=1)))
        demo = start_demo(folder / "demo", [folder / "in"], "--set", "web_processes=1")
        try:
            for _ in range(2):
                _measured(demo, options.instances, options.size)
            url = f"{demo.base}/studies?StudyInstanceUID={ct_slice(study=STUDY).StudyInstanceUID}"
            [row] = requests.get(url, timeout=60).json()
            print(f"the index holds {row['00201208']['Value'][0]} instances")
        finally:
            demo.stop()


def _measured(demo: Demo, instances: int, size: int) -> None:
    web = demo.children("web")[-1]
    before = memory_of(web)
    most = [before]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            most.append(memory_of(web))

    sampler = threading.Thread(target=sample)
    sampler.start()
    _, sent, seconds = store(demo, instances, size)
    ended.set()
    sampler.join()
    print(
        f"{instances} instances, {sent >> 20} MB in {seconds:.1f} s; "
        f"PSS of the web process {before >> 10} MB before, {max(most) >> 10} MB at most"
    )


if __name__ == "__main__":
    main()
