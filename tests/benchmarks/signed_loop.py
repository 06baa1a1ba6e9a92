"""The yardstick of fetching: botocore's SigV4Auth and a urllib3 pool, a bare loop in 32 threads.

Beside it the gateway's own way to HealthImaging in the same loop, with credentials, retries, breaker, limits
and timeouts: what a fetcher has besides, its queue, checks and store, is left out of both.

Run as a module it reads URLs and frame ids as JSON from standard input and writes CPU seconds a frame and
frames a second to standard output.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.benchmarks.content import Series

ROOT = Path(__file__).parents[2]
THREADS = 32
Fetch = Callable[[str], bytes]
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIABENCHMARK", "AWS_SECRET_ACCESS_KEY": "of-no-use-anywhere"}


@dataclass(frozen=True)
class Loop:
    """CPU seconds a frame, and frames a second."""

    cpu: float
    rate: float


def measure_loop(upstream: str, series: Series, frames: int, *, ours: bool = False) -> Loop:
    """Fetch `frames` frames of `series` (again from the first when they run out) in a new process.

    `ours`: the way that the gateway's fetchers go.
    """
    ids = [one for instance in series.frame_ids for one in instance]
    url = f"{upstream}{series.upstream_path}/getImageFrame"
    chosen = [ids[number % len(ids)] for number in range(frames)]
    job = {
        "url": url,
        "ids": chosen,
        "warm": THREADS,
        "ours": [upstream, series.datastore_id, series.image_set_id] if ours else None,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.signed_loop"],
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, **_CREDENTIALS, "PYTHONPATH": str(ROOT)},
    )
    return Loop(**json.loads(done.stdout))


def _bare(url: str) -> Fetch:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    new_request: Any = AWSRequest
    signer: Any = SigV4Auth(Credentials(*_CREDENTIALS.values()), "medical-imaging", "us-east-1")

    def fetch(frame_id: str) -> bytes:
        body = json.dumps({"imageFrameId": frame_id}).encode()
        request = new_request("POST", url, {"Content-Type": "application/json"}, body)
        signer.add_auth(request)
        answer = _POOL.urlopen("POST", url, body=body, headers=dict(request.headers.items()))
        if answer.status != 200:
            raise SystemExit(f"{answer.status}")
        return answer.data

    return fetch


def _ours(endpoint: str, datastore_id: str, image_set_id: str) -> Fetch:
    from dicomweb_gateway.imagesets.healthimaging import HealthImaging
    from dicomweb_gateway.imagesets.pacing import RateLimits
    from dicomweb_gateway.imagesets.store import FrameKey

    # a limit per second would be the thing measured
    limits = RateLimits(100_000, 100_000, Path(tempfile.mkdtemp(prefix="rates-")))
    atexit.register(shutil.rmtree, limits.folder, ignore_errors=True)
    image_sets = HealthImaging(endpoint, "us-east-1", max_connections=THREADS, limits=limits)

    def fetch(frame_id: str) -> bytes:
        return image_sets.frame(FrameKey(datastore_id, image_set_id, frame_id), time.monotonic() + 30)

    return fetch


def _fetch_all(fetch: Fetch, ids: list[str]) -> None:
    todo = deque(ids)

    def work() -> None:
        while True:
            try:
                frame_id = todo.popleft()
            except IndexError:
                return
            if len(fetch(frame_id)) < 1000:
                raise SystemExit("that is no frame")

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_POOL = urllib3.PoolManager(maxsize=THREADS, retries=False)


def main() -> None:
    job = json.load(sys.stdin)
    fetch = _ours(*job["ours"]) if job["ours"] else _bare(job["url"])
    _fetch_all(fetch, job["ids"][: job["warm"]])
    cpu, began = time.process_time(), time.perf_counter()
    _fetch_all(fetch, job["ids"])
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / len(job["ids"]), "rate": len(job["ids"]) / seconds}))


if __name__ == "__main__":
    main()
