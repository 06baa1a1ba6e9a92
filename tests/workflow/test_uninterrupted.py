"""Ctrl-C and the processes that are started beside ours."""

import signal
import subprocess

from dicomweb_gateway.workflow.uninterrupted import uninterrupted


def interrupted_copy() -> tuple[bytes, int]:
    """What `cat` gives back after a SIGINT, and its exit status."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(b"still here")
        return told, process.returncode


def test_a_process_that_is_started_inside_hears_no_interrupt():
    with uninterrupted():
        assert interrupted_copy() == (b"still here", 0)
    assert interrupted_copy()[1] == -signal.SIGINT
