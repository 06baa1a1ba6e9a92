"""Concurrent viewers for minutes while HealthImaging fails at random and processes are killed.

Run by hand: `python -m tests.benchmarks.soak --minutes 10 --viewers 32 [--json PATH]`. Each viewer opens
series, reads their metadata, scrolls, jumps, and looks at a rendered image now and then; a new series becomes
known every so often, so that there is something to fetch until the end. A share of HealthImaging's answers
(`--fault-rate`) goes wrong in ten ways; a fetcher is killed every `--kill-every` seconds. `--cache-fraction
0.25` makes the frame store a quarter of the frames; `--restart-at S`, `--kill-all-at S` and `--kill-web-every
S` end processes.

Every 200 is compared byte for byte: decoded frames with the files' pixels, stored frames with what the
emulator holds, metadata and rendered images with what an undisturbed gateway over another cache answered.
At the end, with faults off, every frame is asked again. Exit status 1 when a rule is broken: a wrong answer,
a status that is neither 200 nor 5xx, more than 1.05 calls a distinct frame beyond those that were made to go
wrong (only where the store holds everything and no process but fetchers dies), memory that grows
(`--most-growth`, only in runs of five minutes and more), a frame that is not back at the end.
"""

import argparse
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.e2e.house import House

ROOT = "1.2.826.0.1.3680043.10.1443.77.9"
STORED, DECODED, RENDERED = "image/jphc", "application/octet-stream", "image/png"
FAULTY = ("GetImageFrame", "GetImageSetMetadata")
MIXTURE: tuple[dict[str, Any], ...] = (
    {"kind": "error"},
    {"kind": "error", "status": 503},
    {"kind": "throttle"},
    {"kind": "drop", "at": "answer"},
    {"kind": "drop", "at": "body"},
    {"kind": "truncate", "at": "body"},
    {"kind": "cut"},
    {"kind": "flip", "bits": 3},
    {"kind": "hang", "wait": 4},
    {"kind": "late", "wait": 1},
)
HARMLESS = ("late", "slow")
"""Kinds of faults after which the answer is right: a further call for such a frame is the gateway's own."""
MOST_CALLS = 1.05
FILLED = 0.2
"""Share of the time that counts as warming up: what is known by then is cached when memory is looked at."""
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Asked:
    """One address with the media type that is asked of it."""

    path: str
    accept: str
    kind: str


@dataclass(frozen=True)
class Series:
    """A series, its metadata's address, and of each slice, in order, the three forms of its frame."""

    metadata: Asked
    stored: tuple[Asked, ...]
    decoded: tuple[Asked, ...]
    rendered: tuple[Asked, ...]

    @property
    def all(self) -> tuple[Asked, ...]:
        return (self.metadata, *self.stored, *self.decoded, *self.rendered)


@dataclass
class Tally:
    """What viewers saw; each viewer has its own, they are added up at the end."""

    statuses: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.statuses += other.statuses
        self.by_kind += other.by_kind
        self.reasons += other.reasons
        self.wrong += other.wrong
        for kind, seconds in other.seconds.items():
            self.seconds.setdefault(kind, []).extend(seconds)


class Viewer(threading.Thread):
    """One person at one screen, over one keep-alive connection."""

    def __init__(self, number: int, run: "Run") -> None:
        super().__init__(name=f"viewer {number}")
        self.tally = Tally()
        self._run = run
        self._dice = random.Random(f"{run.options.seed}:{number}")
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._run.is_over():
            self._look_at(self._run.choose(self._dice))
        self._hang_up()

    def _look_at(self, series: Series) -> None:
        self._ask(series.metadata)
        place, direction = self._dice.randrange(len(series.stored)), 1
        for _ in range(self._dice.randrange(10, 60)):
            if self._run.is_over():
                return
            throw = self._dice.random()
            if throw < 0.03:
                place = self._dice.randrange(len(series.stored))
            elif throw < 0.08:
                direction = -direction
            place = (place + direction) % len(series.stored)
            form = self._dice.choices((series.stored, series.decoded, series.rendered), (0.75, 0.2, 0.05))[0]
            self._ask(form[place])
            time.sleep(self._dice.random() * 2 * self._run.options.think_ms / 1000)

    def _ask(self, asked: Asked) -> None:
        began = time.perf_counter()
        try:
            status, body = self._get(asked)
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            self.tally.statuses[f"no answer ({type(error).__name__})"] += 1
            time.sleep(0.2)
            return
        self.tally.statuses[str(status)] += 1
        if status == 200:
            self.tally.by_kind[asked.kind] += 1
            self.tally.seconds.setdefault(asked.kind, []).append(time.perf_counter() - began)
            if digest(body) != self._run.truth[asked]:
                self.tally.wrong.append(f"{asked.path} as {asked.accept}: {len(body)} bytes")
            return
        self.tally.reasons[f"{status} {body[:160].decode(errors='replace')}"] += 1

    def _get(self, asked: Asked) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._run.house.port, timeout=90)
        self._connection.request("GET", asked.path, headers={"Accept": asked.accept})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Run:
    """One soak: the house, the truth, and when it ends."""

    def __init__(
        self, options: argparse.Namespace, house: House, series: Sequence[Series], truth: dict[Asked, str]
    ) -> None:
        self.options = options
        self.house = house
        self.series = series
        self.truth = truth
        self.began = time.monotonic()
        self.seconds = options.minutes * 60
        self.memory: list[tuple[float, float]] = []
        self.memory_by_role: dict[str, list[tuple[float, float]]] = {}
        self.events: list[str] = []
        self.lost_in_kills = 0

    def is_over(self) -> bool:
        return self.elapsed > self.seconds

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def choose(self, dice: random.Random) -> Series:
        """One of the series known by now; every other time one of the newest four."""
        share = self.elapsed / (self.seconds * self.options.known_by)
        known = max(1, min(len(self.series), int(len(self.series) * share) + 1))
        return self.series[dice.randrange(max(0, known - 4) if dice.random() < 0.5 else 0, known)]

    def go(self) -> Tally:
        """All viewers until the end; meanwhile this thread kills and measures."""
        viewers = [Viewer(number, self) for number in range(self.options.viewers)]
        for viewer in viewers:
            viewer.start()
        due = self._due()
        while not self.is_over():
            while due and due[0][0] <= self.elapsed:
                _, name = due.pop(0)
                self.events.append(f"{self.elapsed:.0f} s: {name}")
                getattr(self, f"_{name}")()
            by_role = {role: pss_of(pids) / 1024 for role, pids in self._roles().items()}
            self.memory.append((self.elapsed, sum(by_role.values())))
            for role, megabytes in by_role.items():
                self.memory_by_role.setdefault(role, []).append((self.elapsed, megabytes))
            time.sleep(0.5)
        total = Tally()
        for viewer in viewers:
            viewer.join()
            total.add(viewer.tally)
        return total

    def _due(self) -> list[tuple[float, str]]:
        """(seconds, name of a method below) of everything that is to happen, in order."""
        options = self.options
        due = [
            (at, name)
            for at, name in ((options.restart_at, "restart"), (options.kill_all_at, "kill_all"))
            if at
        ]
        for every, name in ((options.kill_every, "kill_fetcher"), (options.kill_web_every, "kill_web")):
            if every:
                due += [(every * n, name) for n in range(1, int(self.seconds / every) + 1)]
        return sorted(due)

    def _roles(self) -> dict[str, list[int]]:
        """Process ids of all the gateway's processes by what they are."""
        roles = {name: self.house.children(name) for name in ("web process", "frame fetcher")}
        told = {pid for pids in roles.values() for pid in pids}
        return {**roles, "master and others": [pid for pid in self.house.processes() if pid not in told]}

    def _kill_fetcher(self) -> None:
        frames = self.house.counters()["operations"].get("GetImageFrame", {})
        self.lost_in_kills += frames.get("inFlight", 0)
        self._kill("frame fetcher")

    def _kill_web(self) -> None:
        self._kill("web process")

    def _kill(self, name: str) -> None:
        with suppress(ProcessLookupError, IndexError):
            os.kill(random.choice(self.house.children(name)), signal.SIGKILL)

    def _restart(self) -> None:
        self.house.stop()
        self.house.start()

    def _kill_all(self) -> None:
        self.house.kill_all()
        self.house.start()


def main() -> None:
    options = arguments()
    work = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        report = soak(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(1 if report["broken"] else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--viewers", type=int, default=32)
    parser.add_argument("--series", type=int, default=48)
    parser.add_argument("--slices", type=int, default=80)
    parser.add_argument("--size", type=int, default=128, help="rows and columns of a frame")
    parser.add_argument(
        "--think-ms", type=float, default=80, help="mean pause of a viewer between two frames"
    )
    parser.add_argument("--latency-ms", type=float, default=30, help="of HealthImaging")
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument(
        "--kill-every", type=float, default=20, help="seconds between kills of a fetcher; 0: never"
    )
    parser.add_argument("--kill-web-every", type=float, default=0, help="seconds; 0: never")
    parser.add_argument("--cache-fraction", type=float, default=2, help="of the bytes of all frames")
    parser.add_argument("--restart-at", type=float, default=0, help="seconds; 0: never")
    parser.add_argument("--kill-all-at", type=float, default=0, help="seconds; kill -9 and start; 0: never")
    parser.add_argument("--most-growth", type=float, default=3, help="MB of memory a minute")
    parser.add_argument("--frame-timeout", type=float, default=30)
    parser.add_argument(
        "--known-by",
        type=float,
        default=1,
        help="share of the time after which all series are known; beyond a fifth of it caches fill while "
        "memory is measured, and its growth is reported but not judged",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the gateway"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def soak(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    pixels = write_series(work / "in", options)
    settings = {
        "FRAME_TIMEOUT": str(options.frame_timeout),
        **dict(pair.split("=", 1) for pair in options.set),
    }
    # who started is told at this level, and kills need it
    settings["LOG_LEVEL"] = "info"
    house = House(work / "house", work / "in", settings, ["--seed", str(options.seed)])
    try:
        series, truth, stored_bytes = learn_truth(house, pixels)
        store = max(1 << 20, int(stored_bytes * options.cache_fraction))
        house.settings |= {"CACHE_MAX_BYTES": str(store), "CACHE_ROOT": str(work / "cache")}
        house.start()
        house.reset_counters()
        house.faults(latency_ms=options.latency_ms, rules=mixture(options.fault_rate))
        run = Run(options, house, series, truth)
        tally = run.go()
        counters = house.counters()
        house.faults(rules=[], latency_ms=0)
        not_back = ask_everything_again(house, series, truth)
        return report_of(run, tally, counters, not_back, stored_bytes, store)
    finally:
        house.close()


def mixture(rate: float) -> list[dict[str, Any]]:
    """Rules that strike `rate` of the calls in all, each kind as often as the others."""
    if not rate:
        return []
    each = rate / len(MIXTURE)
    return [{**rule, "rate": each, "operations": list(FAULTY)} for rule in MIXTURE]


def write_series(folder: Path, options: argparse.Namespace) -> dict[str, bytes]:
    """Files of all series, no two slices alike; by SOP Instance UID the pixels."""
    pixels: dict[str, bytes] = {}
    write_synthetic_series(folder / "0", options.slices, options.size, f"{ROOT}.0")
    templates = [pydicom.dcmread(path) for path in sorted((folder / "0").glob("*.dcm"))]
    shutil.rmtree(folder / "0")
    for number in range(1, options.series + 1):
        root = f"{ROOT}.{number}"
        (folder / str(number)).mkdir()
        for dataset in templates:
            place = int(dataset.InstanceNumber)
            array = np.frombuffer(dataset.PixelData, "<i2").reshape(options.size, options.size)
            dataset.PixelData = np.roll(array + number, place + number, axis=1).astype("<i2").tobytes()
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{root}.3.{place}"
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{root}.1", f"{root}.2"
            dataset.save_as(folder / str(number) / f"{place:04d}.dcm", enforce_file_format=True)
            pixels[dataset.SOPInstanceUID] = dataset.PixelData
    return pixels


def learn_truth(house: House, pixels: dict[str, bytes]) -> tuple[list[Series], dict[Asked, str], int]:
    """The series, by what is asked the digest of its right answer, and the bytes of all stored frames.

    An undisturbed gateway over a cache that is not used again answers metadata and rendered images; what it
    says of frames must be what the files and the emulator hold.
    """
    house.settings["CACHE_ROOT"] = str(house.folder / "first-cache")
    house.start()
    truth: dict[Asked, str] = {}
    found: list[Series] = []
    stored_bytes = 0
    session = requests.Session()
    studies = session.get(f"{house.base}/studies?limit=5000&includefield=00081190", timeout=60).json()
    for study in sorted(studies, key=lambda row: int(row["0020000D"]["Value"][0].split(".")[-2])):
        uid = study["0020000D"]["Value"][0]
        series = series_of(f"/aetitle/studies/{uid}/series/{uid[:-1]}2", len(pixels) // len(studies), uid)
        for asked in (series.metadata, *series.rendered):
            truth[asked] = digest(_good(session, house, asked))
        frames = upstream_frames(house, _good(session, house, series.metadata))
        for stored, decoded in zip(series.stored, series.decoded, strict=True):
            instance = stored.path.split("/instances/")[1].split("/")[0]
            truth[decoded] = digest(pixels[instance])
            truth[stored] = digest(frames[instance])
            stored_bytes += len(frames[instance])
        assert digest(_good(session, house, series.decoded[0])) == truth[series.decoded[0]]
        assert digest(_good(session, house, series.stored[0])) == truth[series.stored[0]]
        found.append(series)
    house.stop()
    return found, truth, stored_bytes


def series_of(path: str, slices: int, study_uid: str) -> Series:
    """The addresses of one series."""
    frames = [f"{path}/instances/{study_uid[:-1]}3.{n}/frames/1" for n in range(1, slices + 1)]
    return Series(
        Asked(f"{path}/metadata", "application/dicom+json", "metadata"),
        tuple(Asked(frame, STORED, "stored") for frame in frames),
        tuple(Asked(frame, DECODED, "decoded") for frame in frames),
        tuple(Asked(f"{frame}/rendered", RENDERED, "rendered") for frame in frames),
    )


def upstream_frames(house: House, metadata: bytes) -> dict[str, bytes]:
    """By SOP Instance UID the frame as the emulator holds it, for the instances of a metadata answer."""
    wanted = {row["00080018"]["Value"][0] for row in json.loads(metadata)}
    study = json.loads(metadata)[0]["0020000D"]["Value"][0]
    (store,) = requests.get(f"{house.emulator}/datastore", timeout=30).json()["datastoreSummaries"]
    root = f"{house.emulator}/datastore/{store['datastoreId']}"
    where = {"filters": [{"operator": "EQUAL", "values": [{"DICOMStudyInstanceUID": study}]}]}
    found = requests.post(
        f"{root}/searchImageSets", json={"searchCriteria": where, **where}, timeout=30
    ).json()
    frames: dict[str, bytes] = {}
    for one in found["imageSetsMetadataSummaries"]:
        image_set = f"{root}/imageSet/{one['imageSetId']}"
        document = requests.post(f"{image_set}/getImageSetMetadata", timeout=60).json()
        for series in document["Study"]["Series"].values():
            for uid, instance in series["Instances"].items():
                body = {"imageFrameId": instance["ImageFrames"][0]["ID"]}
                if uid in wanted:
                    frames[uid] = requests.post(f"{image_set}/getImageFrame", json=body, timeout=60).content
    return frames


def _good(session: requests.Session, house: House, asked: Asked) -> bytes:
    answer = session.get(
        f"http://127.0.0.1:{house.port}{asked.path}", headers={"Accept": asked.accept}, timeout=60
    )
    assert answer.status_code == 200, f"{asked.path}: {answer.status_code} {answer.text[:200]}"
    return answer.content


def ask_everything_again(house: House, series: Sequence[Series], truth: dict[Asked, str]) -> list[str]:
    """What is not answered right within 60 s of the last fault."""
    deadline = time.monotonic() + 60
    session = requests.Session()
    left = [asked for one in series for asked in (one.metadata, *one.stored)]
    while left and time.monotonic() < deadline:
        left = [asked for asked in left if not _is_right(session, house, asked, truth[asked])]
        if left:
            time.sleep(1)
    return [asked.path for asked in left]


def _is_right(session: requests.Session, house: House, asked: Asked, right: str) -> bool:
    with suppress(requests.RequestException):
        url = f"http://127.0.0.1:{house.port}{asked.path}"
        answer = session.get(url, headers={"Accept": asked.accept}, timeout=60)
        return answer.status_code == 200 and digest(answer.content) == right
    return False


def report_of(
    run: Run, tally: Tally, counters: dict[str, Any], not_back: list[str], stored_bytes: int, store: int
) -> dict[str, Any]:
    options = run.options
    frames = counters["operations"].get("GetImageFrame", {"requests": 0, "faults": {}})
    struck = sum(n for kind, n in frames["faults"].items() if kind not in HARMLESS)
    distinct = max(1, len(counters["frames"]))
    beyond = (frames["requests"] - struck - run.lost_in_kills) / distinct
    slope, spread = growth(run.memory)
    strange = {
        s: n for s, n in tally.statuses.items() if s.isdigit() and s != "200" and not s.startswith("5")
    }
    undisturbed = options.cache_fraction >= 1 and not (options.kill_all_at or options.restart_at)
    rules = {
        "wrong answers": bool(tally.wrong),
        "statuses other than 200 and 5xx": bool(strange),
        "no frame came": tally.statuses["200"] == 0,
        f"more than {MOST_CALLS} calls a distinct frame": undisturbed and beyond > MOST_CALLS,
        "memory grows": options.minutes >= 5 and options.known_by <= FILLED and slope > options.most_growth,
        "not everything is back at the end": bool(not_back),
    }
    return {
        "options": {name: str(value) for name, value in vars(options).items()},
        "events": run.events,
        "answers": dict(sorted(tally.statuses.items())),
        "answers_by_kind": dict(sorted(tally.by_kind.items())),
        "errors": dict(tally.reasons.most_common(20)),
        "wrong": tally.wrong[:20],
        "latency_ms": {kind: percentiles(seconds) for kind, seconds in sorted(tally.seconds.items())},
        "upstream": {
            "frame_calls": frames["requests"],
            "metadata_calls": counters["operations"].get("GetImageSetMetadata", {}).get("requests", 0),
            "distinct_frames": distinct,
            "frame_calls_made_to_fail": struck,
            "frame_calls_in_flight_at_kills": run.lost_in_kills,
            "calls_per_distinct_frame": round(frames["requests"] / distinct, 4),
            "calls_per_distinct_frame_beyond_faults": round(beyond, 4),
            "faults": frames["faults"],
        },
        "memory": {
            "mb_mean": round(statistics.fmean(mb for _, mb in run.memory), 1),
            "mb_peak": round(max(mb for _, mb in run.memory), 1),
            "mb_a_minute": round(slope, 3),
            "mb_a_minute_standard_error": round(spread, 3),
            "mb_by_tenth_of_the_time": tenths(run.memory),
            "by_role": {role: tenths(samples) for role, samples in run.memory_by_role.items()},
        },
        "store": {"frames_mb": round(stored_bytes / 1e6, 1), "budget_mb": round(store / 1e6, 1)},
        "not_back": not_back[:20],
        "broken": [name for name, broken in rules.items() if broken],
    }


def growth(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(slope, its standard error) in MB a minute by least squares; the first fifth, warming up, left out."""
    kept = np.array(samples[len(samples) // 5 :])
    if len(kept) < 5:
        return 0.0, 0.0
    minutes, megabytes = kept[:, 0] / 60, kept[:, 1]
    centred = minutes - minutes.mean()
    slope = float((centred * megabytes).sum() / (centred**2).sum())
    left = megabytes - megabytes.mean() - slope * centred
    error = float(np.sqrt((left**2).sum() / (len(kept) - 2) / (centred**2).sum()))
    return slope, error


def tenths(samples: Sequence[tuple[float, float]]) -> list[float]:
    """Mean MB of each tenth of the samples, in order."""
    return [round(float(part.mean()), 1) for part in np.array_split(np.array(samples)[:, 1], 10) if part.size]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 1) for p in PERCENTILES}


def pss_of(pids: Sequence[int]) -> int:
    """Proportional memory of all these processes in KB; those that are gone count nothing."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


if __name__ == "__main__":
    main()
