"""Finding a running master: by the lock that it holds, never by a number that was left behind."""

import subprocess
import sys

import pytest

from dicomweb_gateway.errors import ReloadFailed, SettingsError
from dicomweb_gateway.service.pid_file import pid_file, pid_path, reload
from tests.conftest import ROOT

MASTER = """
import os, signal, sys, time
from pathlib import Path
from dicomweb_gateway.service.pid_file import pid_file, pid_path

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
with pid_file(pid_path(Path(sys.argv[1]), int(sys.argv[2]))) as file:
    child = os.fork()
    if child == 0:
        time.sleep(60)
    print(os.getpid(), child, flush=True)
    while True:
        signal.sigwait([signal.SIGHUP])
        if sys.argv[3] == "end":
            os.kill(child, signal.SIGKILL)
            sys.exit()
        file.note_reload(None if sys.argv[3] == "good" else "PORT: why not")
"""


@pytest.fixture
def master(tmp_path):
    running = []

    def start(port=80, kind="good"):
        command = [sys.executable, "-c", MASTER, str(tmp_path), str(port), kind]
        environment = {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        running.append(process)
        pid, child = map(int, process.stdout.readline().split())
        return process, pid, child

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_reload_waits_for_its_end(master, tmp_path):
    _, pid, _ = master()
    assert [reload(tmp_path, None, 20) for _ in range(3)] == [pid] * 3


def test_a_refused_reload_says_why(master, tmp_path):
    master(kind="bad")
    with pytest.raises(ReloadFailed, match="PORT: why not"):
        reload(tmp_path, None, 20)


def test_one_that_ends_instead_is_noticed(master, tmp_path):
    master(kind="end")
    with pytest.raises(ReloadFailed, match="ended instead"):
        reload(tmp_path, None, 20)


def test_of_several_one_must_be_named(master, tmp_path):
    master(port=80)
    _, second, _ = master(port=81)
    with pytest.raises(ReloadFailed, match="--port"):
        reload(tmp_path, None, 20)
    assert reload(tmp_path, 81, 20) == second


def test_what_a_killed_master_left_is_nobody(master, tmp_path):
    process, _, child = master()
    process.kill()
    process.wait()
    # its child still lives and does not count
    assert pid_path(tmp_path, 80).exists()
    with pytest.raises(ReloadFailed, match="no gateway runs"):
        reload(tmp_path, None, 20)
    with pid_file(pid_path(tmp_path, 80)):
        pass
    assert not pid_path(tmp_path, 80).exists()
    subprocess.run(["kill", "-9", str(child)], check=True)


def test_a_second_one_in_the_same_place_is_refused(master, tmp_path):
    master()
    with pytest.raises(SettingsError, match="another gateway"), pid_file(pid_path(tmp_path, 80)):
        pass
