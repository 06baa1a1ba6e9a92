"""How far a synchronisation is: one rewritten line on a terminal, a plain line now and then in a log."""

import sys
import time
from typing import TextIO

from dicomweb_gateway.workflow.sync_report import SyncReport

_LIVE_SECONDS = 0.2
_LOG_SECONDS = 10.0


class SyncMeter:
    """Shows reports on `stream`; call it with each, then `finish`."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._began = self._said = time.monotonic()

    def __call__(self, report: SyncReport) -> None:
        """Show `report` when it is time to."""
        now = time.monotonic()
        if now - self._said < (_LIVE_SECONDS if self._live else _LOG_SECONDS):
            return
        self._said = now
        line = progress_line(report, now - self._began)
        self._stream.write(f"\r{line:78}" if self._live else f"{line}\n")
        self._stream.flush()

    def finish(self) -> None:
        """End the line on a terminal."""
        if self._live:
            self._stream.write("\r" + " " * 78 + "\r")
            self._stream.flush()


def progress_line(report: SyncReport, seconds: float) -> str:
    """One line: done of found, failures, rate, and the time that is left once the whole list is known."""
    rate = (report.indexed + len(report.failures)) / seconds if seconds else 0
    more = "" if report.listed else "+"
    line = f"{report.done} of {report.found}{more} image sets"
    if report.failures:
        line += f", {len(report.failures)} failed"
    if report.removed:
        line += f", {report.removed} removed"
    if rate:
        line += f", {rate:.1f}/s"
        if report.listed:
            line += f", {_duration((report.found - report.done) / rate)} left"
    return line


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
