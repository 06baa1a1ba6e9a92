"""Opens a 300-slice 512x512 series through a demo whose HealthImaging answers 30 ms late, cold and warm.

Run by hand: `python -m tests.benchmarks.open_series [--slices N] [--latency-ms MS] [--rounds N]`. Prints wall
time, time to the first frame, frames a second and the peak memory of every process of the demo. A round
opens the series as a viewer does: series metadata, then every frame in its stored syntax over keep-alive
connections, in viewing order. Warm rounds follow a cold one on the same demo.
"""

import argparse
import http.client
import json
import queue
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.e2e.running import Demo, start_demo

SERIES = "/studies/1.2.826.0.1.3680043.10.1443.77.1/series/1.2.826.0.1.3680043.10.1443.77.2"
STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--latency-ms", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="*", default=[6, 32])
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="open-series-"))
    try:
        run(options, work)
    finally:
        shutil.rmtree(work)


def run(options: argparse.Namespace, work: Path) -> None:
    write_synthetic_series(work / "in", slices=options.slices, size=512)
    data = work / "data"
    demo = start_demo(data, [work / "in"])
    demo.stop()
    floor = options.slices * options.latency_ms / 1000 / 64
    print(
        f"{options.slices} slices of 512x512, upstream {options.latency_ms:g} ms; "
        f"floor at 64 in flight {floor:.2f} s"
    )
    for connections in options.connections:
        for _ in range(options.rounds):
            shutil.rmtree(data / "cache", ignore_errors=True)
            demo = start_demo(data, [work / "in"])
            requests.put(
                f"{demo.emulator}/_emulator/faults", json={"latency_ms": options.latency_ms}, timeout=9
            )
            try:
                report("cold", connections, open_series(demo, connections))
                report("warm", connections, *(open_series(demo, connections) for _ in range(options.rounds)))
                print(f"     peak memory: {memory_of(demo)}")
            finally:
                demo.stop()


def open_series(demo: Demo, connections: int) -> tuple[float, float, int, int]:
    """(seconds in all, seconds to the first frame, frames, bytes) of one opening."""
    started = time.perf_counter()
    metadata = requests.get(f"{demo.base}{SERIES}/metadata", timeout=60).json()
    paths = [f"/aetitle{SERIES}/instances/{row['00080018']['Value'][0]}/frames/1" for row in metadata]
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in paths:
        todo.put(path)
    done: list[tuple[float, int]] = []
    threads = [threading.Thread(target=fetch, args=(demo, todo, done)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = time.perf_counter()
    assert len(done) == len(paths)
    return ended - started, min(at for at, _ in done) - started, len(done), sum(size for _, size in done)


def fetch(demo: Demo, todo: "queue.SimpleQueue[str]", done: list[tuple[float, int]]) -> None:
    connection = http.client.HTTPConnection(urlsplit(demo.root).netloc, timeout=60)
    while True:
        try:
            path = todo.get_nowait()
        except queue.Empty:
            connection.close()
            return
        connection.request("GET", path, headers={"Accept": STORED})
        answer = connection.getresponse()
        size = len(answer.read())
        assert answer.status == 200, answer.status
        done.append((time.perf_counter(), size))


def report(name: str, connections: int, *openings: tuple[float, float, int, int]) -> None:
    wall = statistics.median(o[0] for o in openings)
    first = statistics.median(o[1] for o in openings)
    frames, size = openings[0][2:]
    print(
        f"{name} {connections:3d} connections: {wall:6.2f} s, first frame {first * 1000:6.0f} ms, "
        f"{frames / wall:6.0f} frames/s, {size / wall / 1e6:5.0f} MB/s"
    )


def memory_of(demo: Demo) -> str:
    """Peak resident memory of each child, from the kernel (VmHWM), in MB."""
    found = {}
    for name in ("frame fetcher", "web process", "emulator"):
        for pid in demo.children(name):
            status = Path(f"/proc/{pid}/status")
            if status.exists():
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
                found[f"{name} {pid}"] = int(lines["VmHWM"].split()[0]) // 1024
    return json.dumps(found)


if __name__ == "__main__":
    main()
