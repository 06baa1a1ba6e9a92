"""How far an import, a verification or a walk is: what is told, and the line that people see."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

_LIVE_SECONDS = 0.2
_LOG_SECONDS = 10.0
_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` of `what` in this phase, `size` bytes so far; `note` says the rest.

    `total` 0: not known. `quiet`: a step that is over, which people need not see.
    """

    phase: str
    done: int = 0
    total: int = 0
    what: str = ""
    size: int = 0
    note: str = ""
    quiet: bool = False


Listener = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Nobody watches."""


class Meter:
    """One rewritten line on a terminal; in a log a line for each phase, and one now and then within it."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._phase = ""
        self._began = self._said = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show `progress` when it is time to."""
        if progress.quiet:
            return
        now = time.monotonic()
        key = progress.phase + progress.note
        if key != self._phase:
            self.finish()
            self._phase, self._began, self._said = key, now, 0.0
        if self._said and now - self._said < (_LIVE_SECONDS if self._live else _LOG_SECONDS):
            return
        self._said = now
        line = progress_line(progress, now - self._began)
        self._stream.write(f"\r{line[:_WIDTH]:{_WIDTH}}" if self._live else f"{line}\n")
        self._stream.flush()

    def finish(self) -> None:
        """End the line on a terminal."""
        if self._live and self._phase:
            self._stream.write("\n")
            self._stream.flush()
        self._phase = ""


def progress_line(progress: Progress, seconds: float) -> str:
    """One line: phase, done of total, rates, and what else there is to say."""
    line = progress.phase
    if progress.what:
        of = f" of {progress.total}" if progress.total else ""
        line += f": {progress.done}{of} {progress.what}"
        if seconds > 0.5 and progress.done:
            line += f", {progress.done / seconds:.1f}/s"
            if progress.size:
                line += f", {progress.size / seconds / 1e6:.1f} MB/s"
    return f"{line}  {progress.note}" if progress.note else line
