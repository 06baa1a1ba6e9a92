"""What people see of long work, on a terminal and in a log."""

from io import StringIO

from dicomweb_gateway.workflow.steps import Meter, Progress, progress_line, silent


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_how_far_how_fast_and_what_else():
    whole = Progress("staging", 50, 200, "files", 20_000_000, "batch 1 of 2")
    assert progress_line(whole, 10) == "staging: 50 of 200 files, 5.0/s, 2.0 MB/s  batch 1 of 2"
    assert progress_line(Progress("verifying", 3, 0, "frames"), 0.1) == "verifying: 3 frames"
    assert progress_line(Progress("starting", note="job 1"), 3) == "starting  job 1"


def test_a_log_has_a_line_for_each_phase_and_not_for_each_step():
    stream = StringIO()
    meter = Meter(stream)
    for number in range(100):
        meter(Progress("checking", number, 100, "files"))
    meter(Progress("checked", quiet=True))
    meter(Progress("importing", note="job 1 SUBMITTED"))
    meter(Progress("importing", note="job 1 COMPLETED"))
    meter.finish()
    lines = stream.getvalue().splitlines()
    assert [line.split()[-1] for line in lines] == ["files", "SUBMITTED", "COMPLETED"]


def test_a_terminal_has_one_line_that_is_written_again():
    stream = Terminal()
    meter = Meter(stream)
    meter(Progress("checking", 1, 2, "x" * 200))
    meter.finish()
    assert stream.getvalue().startswith("\rchecking: 1 of 2 x")
    assert stream.getvalue().endswith("\n")
    assert len(stream.getvalue()) <= 80


def test_nobody_need_watch():
    assert silent(Progress("checking")) is None
