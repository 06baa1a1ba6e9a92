"""The yardstick of fetching: botocore's SigV4Auth and a urllib3 pool, a bare loop in 32 threads.

Run as a module it reads URLs and frame ids as JSON from standard input and writes CPU seconds a frame and
frames a second to standard output.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.benchmarks.content import Series

ROOT = Path(__file__).parents[2]
THREADS = 32


@dataclass(frozen=True)
class Loop:
    """CPU seconds a frame, and frames a second."""

    cpu: float
    rate: float


def measure_loop(upstream: str, series: Series, frames: int) -> Loop:
    """Fetch `frames` frames of `series` (again from the first when they run out) in a new process."""
    ids = [one for instance in series.frame_ids for one in instance]
    url = f"{upstream}{series.upstream_path}/getImageFrame"
    job = {"url": url, "ids": [ids[number % len(ids)] for number in range(frames)], "warm": THREADS}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.signed_loop"],
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Loop(**json.loads(done.stdout))


def _fetch_all(url: str, ids: list[str]) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    new_request: Any = AWSRequest
    signer: Any = SigV4Auth(
        Credentials("AKIABENCHMARK", "of-no-use-anywhere"), "medical-imaging", "us-east-1"
    )
    todo = deque(ids)

    def work() -> None:
        while True:
            try:
                frame_id = todo.popleft()
            except IndexError:
                return
            body = json.dumps({"imageFrameId": frame_id}).encode()
            request = new_request("POST", url, {"Content-Type": "application/json"}, body)
            signer.add_auth(request)
            answer = _POOL.urlopen("POST", url, body=body, headers=dict(request.headers.items()))
            if answer.status != 200 or len(answer.data) < 1000:
                raise SystemExit(f"{answer.status}")

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_POOL = urllib3.PoolManager(maxsize=THREADS, retries=False)


def main() -> None:
    job = json.load(sys.stdin)
    _fetch_all(job["url"], job["ids"][: job["warm"]])
    cpu, began = time.process_time(), time.perf_counter()
    _fetch_all(job["url"], job["ids"])
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / len(job["ids"]), "rate": len(job["ids"]) / seconds}))


if __name__ == "__main__":
    main()
