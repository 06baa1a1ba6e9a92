"""What a synchronisation says while it runs."""

import io

import pytest

from dicomweb_gateway.workflow.meter import SyncMeter, progress_line
from dicomweb_gateway.workflow.sync_report import SyncReport


@pytest.mark.parametrize(
    ("report", "seconds", "line"),
    [
        (SyncReport(found=9, unchanged=4), 2, "4 of 9+ image sets"),
        (SyncReport(found=9, unchanged=4, indexed=2), 2, "6 of 9+ image sets, 1.0/s"),
        (
            SyncReport(found=1000, listed=True, indexed=100, failures={"x": "why"}, removed=3),
            10.1,
            "101 of 1000 image sets, 1 failed, 3 removed, 10.0/s, 1:30 left",
        ),
        (
            SyncReport(found=100_000, listed=True, indexed=1000),
            100,
            "1000 of 100000 image sets, 10.0/s, 2:45:00 left",
        ),
    ],
)
def test_lines(report, seconds, line):
    assert progress_line(report, seconds) == line


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["log", "terminal"])
def test_shown_now_and_then(monkeypatch, stream):
    clock = [0.0]
    monkeypatch.setattr("dicomweb_gateway.workflow.meter.time.monotonic", lambda: clock[0])
    meter = SyncMeter(stream)
    for second in range(31):
        clock[0] = float(second)
        meter(SyncReport(found=60, indexed=second))
    meter.finish()
    shown = stream.getvalue()
    if stream.isatty():
        assert shown.count("\r") == 32
        assert "\n" not in shown
    else:
        assert [line.split(" ")[0] for line in shown.splitlines()] == ["10", "20", "30"]
