"""Small series for tests of faults, and asking for their frames so that a wrong byte is seen."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.emulator.files import ROOT, ct_slice, pixels_of, save

from .house import House, wait_for

SLICES = 4
DECODED, STORED = "application/octet-stream", "image/jphc"
FAILED = {502, 503, 504}
"""What a failure behind the gateway may answer; a 500 would be a fault of its own."""


LONG = 1
"""The study with the slices of many `Frames`; the studies after it have SLICES each."""


def write_files(folder: Path, parts: int, short: int) -> None:
    """Study LONG of `parts` x SLICES slices, and `short` studies more of one series; no two slices alike."""
    wanted = [(LONG, place) for place in range(1, parts * SLICES + 1)]
    wanted += [(LONG + n, place) for n in range(1, short + 1) for place in range(1, SLICES + 1)]
    for study, place in wanted:
        made = ct_slice(place, study, study, PixelData=pixels(study, place))
        save(made, folder / f"{study}-{place}.dcm")


def pixels(study: int, place: int) -> bytes:
    return pixels_of(study * 1000 + place).tobytes()


@dataclass(frozen=True)
class Answer:
    """One answer for a frame; `right`: it is 200 with exactly the frame's bytes."""

    status: int
    right: bool
    seconds: float
    retry_after: str | None


class Frames:
    """SLICES frames of one series at a running house, behind the first `skipped` of it."""

    def __init__(self, house: House, series: int, skipped: int = 0) -> None:
        self._house = house
        self._series = series
        self._skipped = skipped
        self.url = f"{house.base}/studies/{ROOT}.{series}/series/{ROOT}.{series}.{series}"

    def ask(self, place: int = 1) -> Answer:
        """Ask for the decoded frame of slice `place`, from 1; a wrong 200 fails the test there and then."""
        place += self._skipped
        began = time.monotonic()
        answer = requests.get(
            f"{self.url}/instances/{ROOT}.{self._series}.{self._series}.{place}/frames/1",
            headers={"Accept": DECODED},
            timeout=60,
        )
        right = answer.status_code == 200 and answer.content == pixels(self._series, place)
        assert right or answer.status_code != 200, "a wrong 200"
        return Answer(answer.status_code, right, time.monotonic() - began, answer.headers.get("Retry-After"))

    def all_right(self) -> bool:
        return all(self.ask(place).right for place in range(1, SLICES + 1))

    def come_back(self, seconds: float = 30) -> None:
        """Wait until every frame is answered right."""
        wait_for(self.all_right, seconds)

    def stored(self) -> set[Path]:
        """Files of the frame store, of all series."""
        return stored_files(self._house)


def stored_files(house: House) -> set[Path]:
    return {p for p in (house.folder / "data" / "cache" / "frames").glob("[0-9a-f][0-9a-f]/*") if p.is_file()}


def cold_frames(house: House, parts: int) -> Iterator[Frames]:
    """One part of study LONG after another."""
    for number in range(parts):
        yield Frames(house, LONG, number * SLICES)


def cold_series(house: House, short: int) -> Iterator[Frames]:
    """One of the short series after another."""
    for number in range(1, short + 1):
        yield Frames(house, LONG + number)
