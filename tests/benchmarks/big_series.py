"""Retrieves a series of gigabytes through a demo and samples the memory of all its processes meanwhile.

Run by hand: `python -m tests.benchmarks.big_series [--shape slices|enhanced|frames]... [--gb N]
[--latency-ms MS]`. Shapes: slices of 512 KB, multi-frame instances of 40 MB, one instance of frames of 40 MB.
The pixels are noise, so HTJ2K does not shrink them; HealthImaging's store holds one frame, which all frames
of the series name, so that making the series costs seconds. Prints for `transfer-syntax=*`, Explicit VR
Little Endian and, warm, again `*`: seconds, time to the first byte, and the peak of the sum over master, web
processes and fetchers of proportional (PSS) and resident (RSS) memory, the emulator's apart; then metadata
cold, warm and unchanged beside their yardsticks.
"""

import argparse
import gzip
import http.client
import json
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
import pydicom
import requests

from dicomweb_gateway.emulator.blobs import blob_path, write_durably
from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.e2e.running import Demo, start_demo

ROOT = "1.2.826.0.1.3680043.10.1443.77"
STUDY = f"/aetitle/studies/{ROOT}.1"
SERIES = f"{STUDY}/series/{ROOT}.2"
PARTS = 'multipart/related; type="application/dicom"'


@dataclass(frozen=True)
class Shape:
    """`frames` of `size` x `size` 16-bit pixels in each instance."""

    size: int
    frames: int

    def instances(self, gigabytes: float) -> int:
        return max(1, round(gigabytes * 2**30 / (self.size**2 * 2 * self.frames)))


SHAPES = {
    "slices": lambda gigabytes: Shape(512, 1),
    "enhanced": lambda gigabytes: Shape(512, 80),
    # Explicit VR Little Endian ends at 4 GB of pixel data in one instance
    "frames": lambda gigabytes: Shape(4480, min(106, round(gigabytes * 2**30 / (4480**2 * 2)))),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--gb", type=float, default=4.1)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--once", action="store_true", help="only as stored, cold")
    options = parser.parse_args()
    for name in options.shape or list(SHAPES):
        work = Path(tempfile.mkdtemp(prefix="big-series-"))
        try:
            run(name, SHAPES[name](options.gb), options, work)
        finally:
            shutil.rmtree(work)


def run(name: str, shape: Shape, options: argparse.Namespace, work: Path) -> None:
    write_noise(work / "in", shape.size)
    demo = start_demo(work / "data", [work / "in"])
    demo.stop()
    instances = shape.instances(options.gb)
    multiply(work / "data" / "emulator", instances, shape.frames)
    demo = start_demo(work / "data", [work / "in"])
    try:
        requests.put(f"{demo.emulator}/_emulator/faults", json={"latency_ms": options.latency_ms}, timeout=9)
        print(f"{name}: {instances} instances of {shape.frames} frames of {shape.size} x {shape.size}")
        idle = Memory(demo)
        idle.sample()
        print(f"  idle: {idle}")
        runs = [
            ("stored, cold", "; transfer-syntax=*"),
            ("decoded", ""),
            ("stored, warm", "; transfer-syntax=*"),
        ]
        for label, syntax in runs[: 1 if options.once else None]:
            memory = Memory(demo)
            with memory:
                seconds, first, size = retrieve(demo, SERIES, PARTS + syntax)
            speed = f"{size / 2**30:.2f} GiB in {seconds:.1f} s, first byte {first * 1000:.0f} ms"
            print(f"  {label}: {speed}, {memory}")
        report_metadata(demo)
    finally:
        demo.stop()


def write_noise(folder: Path, size: int) -> None:
    """One slice of `size` x `size` signed 16-bit noise."""
    write_synthetic_series(folder, slices=1, size=64)
    (path,) = folder.glob("*.dcm")
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = size
    pixels = np.random.default_rng(1).integers(-(2**15), 2**15, (size, size), dtype="<i2")
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)


def multiply(store: Path, instances: int, frames: int) -> None:
    """Make a new version of the one image set in the emulator's store, with so many instances and frames."""
    catalogue = sqlite3.connect(store / "catalogue.sqlite")
    (image_set, frame_id, *stored) = catalogue.execute("SELECT * FROM frame").fetchone()
    (name,) = catalogue.execute("SELECT metadata FROM image_set_version").fetchone()
    document = orjson.loads(gzip.decompress(blob_path(store / "metadata", name).read_bytes()))
    (series,) = document["Study"]["Series"].values()
    ((uid, template),) = series["Instances"].items()
    (frame,) = template["ImageFrames"]
    made: dict[str, Any] = {}
    rows = []
    for number in range(1, instances + 1):
        tags = {**template["DICOM"], "SOPInstanceUID": f"{ROOT}.3.{number}", "InstanceNumber": str(number)}
        if frames > 1:
            tags["NumberOfFrames"] = str(frames)
        ids = [frame_id if number == 1 and n == 0 else uuid.uuid4().hex for n in range(frames)]
        made[tags["SOPInstanceUID"]] = {
            **template,
            "DICOM": tags,
            "ImageFrames": [{**frame, "ID": one} for one in ids],
        }
        rows += [(image_set, one, *stored) for one in ids]
    series["Instances"] = made
    assert uid in made
    write_durably(blob_path(store / "metadata", f"{name}2"), gzip.compress(orjson.dumps(document), 1))
    with catalogue:
        catalogue.executemany("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?, ?)", rows)
        now = time.time() + 1
        catalogue.execute("UPDATE image_set SET version = 2, updated = ?, instances = ?", (now, instances))
        catalogue.execute(
            "INSERT INTO image_set_version VALUES (?, 2, 'UPDATED', ?, ?, ?)",
            (image_set, now, now, f"{name}2"),
        )
    catalogue.close()


class Memory:
    """The peak of the sums of PSS and RSS over the gateway's processes, and of the emulator, in MB."""

    def __init__(self, demo: Demo) -> None:
        children = [pid for name in ("frame fetcher", "web process") for pid in demo.children(name)]
        self._gateway = [demo.process.pid, *children]
        self._emulator = demo.children("emulator")[-1:]
        self._parts: list[int] = []
        self.pss = self.rss = self.emulator = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __str__(self) -> str:
        return f"PSS {self.pss} MB {self._parts}, RSS {self.rss} MB, emulator {self.emulator} MB"

    def sample(self) -> None:
        found = [_memory(pid) for pid in self._gateway]
        pss = sum(one[0] for one in found) >> 10
        if pss > self.pss:
            self.pss, self._parts = pss, [one[0] >> 10 for one in found]
        self.rss = max(self.rss, sum(one[1] for one in found) >> 10)
        self.emulator = max(self.emulator, sum(_memory(pid)[0] for pid in self._emulator) >> 10)

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.sample()


def _memory(pid: int) -> tuple[int, int]:
    """(PSS, RSS) of a process in KB; nothing of one that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return int(fields["Pss"].split()[0]), int(fields["Rss"].split()[0])


def retrieve(demo: Demo, path: str, accept: str) -> tuple[float, float, int]:
    """(seconds, seconds to the first byte of the body, bytes) of one retrieval."""
    connection = http.client.HTTPConnection(urlsplit(demo.root).netloc, timeout=600)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    size = len(answer.read(1))
    first = time.perf_counter() - began
    while piece := answer.read(1 << 20):
        size += len(piece)
    connection.close()
    return time.perf_counter() - began, first, size


def report_metadata(demo: Demo) -> None:
    """Series metadata cold, warm and unchanged, beside orjson loads + dumps and a tiny answer."""
    session = requests.Session()
    url = f"{demo.root}{SERIES}/metadata"
    memory = Memory(demo)
    with memory:
        began = time.perf_counter()
        answer = session.get(url, timeout=600)
        cold = time.perf_counter() - began
    text = answer.content
    began = time.perf_counter()
    orjson.dumps(orjson.loads(text))
    yardstick = time.perf_counter() - began
    tiny = median(lambda: session.get(f"{demo.root}/healthcheck", timeout=9))
    warm = median(lambda: _raw(session, url))
    same = {"If-None-Match": answer.headers["ETag"]}
    unchanged = median(lambda: session.get(url, headers=same, timeout=9))
    assert session.get(url, headers=same, timeout=9).status_code == 304
    print(
        f"  metadata of {len(json.loads(text))} instances, {len(text) >> 20} MB: first {cold * 1000:.0f} ms "
        f"({cold / yardstick:.1f} x loads + dumps), then {warm * 1000:.1f} ms ({warm / tiny:.1f} x a tiny "
        f"answer of {tiny * 1000:.1f} ms), 304 {unchanged * 1000:.1f} ms; {memory}"
    )


def _raw(session: requests.Session, url: str) -> None:
    with session.get(url, stream=True, timeout=60) as answer:
        answer.raw.read()


def median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(20):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
