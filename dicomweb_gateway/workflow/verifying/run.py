"""Verifies image sets with several processes, and goes on where an earlier try was broken off."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from dicomweb_gateway.errors import ImportTrouble
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.workflow.steps import Listener, Progress, silent
from dicomweb_gateway.workflow.uninterrupted import uninterrupted
from dicomweb_gateway.workflow.verifying.checker import Checked, Checker, CheckerConfig
from dicomweb_gateway.workflow.verifying.keeping import Failure, is_kept
from dicomweb_gateway.workflow.verifying.work import Form, Piece, Unread, Wanted, Work, works

MOST_TOLD = 10_000
"""Failures that a report names; further ones are counted."""


@dataclass(slots=True)
class VerifyReport:
    """What was verified; `size` in bytes, `before` are frames that an earlier run had verified.

    `failed` counts failures, of which `failures` names the first. `unstated` as in `Checked`.
    """

    image_sets: int = 0
    instances: int = 0
    frames: int = 0
    before: int = 0
    size: int = 0
    unstated: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        """Whether every frame is right."""
        return not self.failed

    def add(self, done: Checked) -> None:
        """Count what a process did."""
        self.frames += done.frames
        self.instances += done.instances
        self.size += done.size
        self.unstated += done.unstated
        for failure in done.failures:
            self.fail(failure)

    def fail(self, failure: Failure) -> None:
        """Count a failure."""
        self.failed += 1
        if len(self.failures) < MOST_TOLD:
            self.failures.append(failure)

    def row(self) -> dict[str, Any]:
        """For scripts."""
        seconds = max(self.seconds, 1e-9)
        rates = {
            "frames_per_second": self.frames / seconds,
            "megabytes_per_second": self.size / seconds / 1e6,
        }
        return {**asdict(self), **{name: round(rate, 1) for name, rate in rates.items()}}

    def lines(self) -> Iterator[str]:
        """For people."""
        rate = self.frames / max(self.seconds, 1e-9)
        yield (
            f"{self.frames} frames of {self.instances} instances in {self.image_sets} image sets: "
            f"{self.size / 1e6:.1f} MB in {self.seconds:.1f} s, {rate:.1f} frames/s"
        )
        if self.before:
            yield f"{self.before} frames were verified by an earlier run"
        if self.unstated:
            yield f"{self.unstated} frames have no checksum in their metadata; they are whole"
        for failure in self.failures:
            frame = f" frame {failure.frame_number}" if failure.frame_number else ""
            instance = f" {failure.instance_uid}" if failure.instance_uid else ""
            yield f"WRONG  image set {failure.image_set_id}{instance}{frame}: {failure.reason}"
        if self.failed > len(self.failures):
            yield f"and {self.failed - len(self.failures)} more"
        yield "all frames are right" if self.is_fine else f"{self.failed} failures"


def verify(
    metadata: Callable[[ImageSetRef], bytes],
    refs: Iterable[ImageSetRef],
    config: CheckerConfig,
    processes: int,
    wanted: Wanted | None = None,
    journal: Path | None = None,
    listener: Listener = silent,
) -> VerifyReport:
    """Check every frame of `refs`; `processes` 0: in this one.

    Pieces that `journal` names, and whose files are still there, are left out; those that are right are added
    to it. Raises what
    `Checker.check` raises, ImportTrouble when a process dies, and UpstreamError of `refs`.
    """
    report, began = VerifyReport(), time.monotonic()
    known = _Journal(journal, config.form)
    seen: set[str] = set()

    def listed() -> Iterator[ImageSetRef]:
        for ref in refs:
            seen.add(ref.image_set_id)
            yield ref

    def is_done(piece: Piece) -> bool:
        is_there = config.folder is None or is_kept(config.folder, piece, config.form)
        return is_there and known.has(piece.key(config.form))

    def todo() -> Iterator[Work]:
        for found in works(metadata, listed(), wanted or Wanted(), config.form == "dicom"):
            if isinstance(found, Unread):
                report.fail(Failure(found.ref.image_set_id, "", 0, found.reason))
                continue
            left = tuple(piece for piece in found if not is_done(piece))
            report.before += sum(len(piece.frames) for piece in found) - sum(
                len(piece.frames) for piece in left
            )
            if left:
                yield left

    with known, _crew(config, processes) as crew:
        for done in crew(todo()):
            report.add(done)
            known.add(done.keys)
            report.image_sets = len(seen)
            note = f"{report.failed} failures" if report.failed else ""
            listener(Progress("verifying", report.frames, 0, "frames", report.size, note))
    report.image_sets, report.seconds = len(seen), time.monotonic() - began
    return report


Crew = Callable[[Iterator[Work]], Iterator[Checked]]


@contextmanager
def _crew(config: CheckerConfig, processes: int) -> Iterator[Crew]:
    """Works in, results out as they come."""
    if not processes:
        checker = Checker(config)
        try:
            yield lambda todo: map(checker.check, todo)
        finally:
            checker.close()
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (config,))
    try:
        yield lambda todo: _shared_out(pool, todo, 2 * processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _shared_out(pool: ProcessPoolExecutor, todo: Iterator[Work], window: int) -> Iterator[Checked]:
    running: set[Future[Checked]] = set()
    while True:
        for work in islice(todo, window - len(running)):
            with uninterrupted():
                running.add(pool.submit(_check, work))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                yield future.result()
            except BrokenProcessPool:
                raise ImportTrouble("a verifying process has died; the same command goes on") from None


class _Process:
    """The checker of a process that was started for one."""

    checker: Checker


def _begin(config: CheckerConfig) -> None:
    _Process.checker = Checker(config)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Nobody else ends this process when the one that has started it is killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _check(work: Work) -> Checked:
    return _Process.checker.check(work)


class _Journal:
    """Keys of what is verified already, one a line; a line that is cut by a crash counts for nothing."""

    def __init__(self, path: Path | None, form: Form | None) -> None:
        self._path = path
        self._known: set[str] = set()
        if path is not None and path.exists():
            self._known = {line for line in path.read_text().splitlines() if len(line) == 32}

    def __enter__(self) -> "_Journal":
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a") if self._path is not None else None
        if self._file is not None:
            # behind a line that was cut
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def has(self, key: str) -> bool:
        """Whether the piece is verified."""
        return key in self._known

    def add(self, keys: list[str]) -> None:
        """Note that pieces are verified."""
        if self._file is not None:
            self._file.writelines(f"{key}\n" for key in keys)
            self._file.flush()
