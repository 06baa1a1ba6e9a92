"""Run folders: one a gateway, those of killed ones removed, those of living ones left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicomweb_gateway.service import run_folder as module
from dicomweb_gateway.service.run_folder import remove_left_behind, run_folder

MASTER = """
import os, sys, time
from dicomweb_gateway.service.run_folder import run_folder
with run_folder() as folder:
    child = os.fork()
    if child == 0:
        time.sleep(60)
    print(folder, child, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_goes_at_the_end():
    with run_folder() as folder:
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_the_folder_of_a_killed_gateway_goes_when_its_last_process_is_gone(temporary):
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", MASTER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as master:
        name, child = master.stdout.readline().split()
        remove_left_behind(temporary)
        assert Path(name).is_dir()
        master.kill()
    remove_left_behind(temporary)
    assert Path(name).is_dir()
    os.kill(int(child), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while Path(name).exists() and time.monotonic() < deadline:
        remove_left_behind(temporary)
        time.sleep(0.02)
    assert not Path(name).exists()


def test_what_is_not_ours_stays(temporary):
    old, new, other, full = (
        temporary / name
        for name in ("dicomweb-gateway-a", "dicomweb-gateway-b", "other", "dicomweb-gateway-c")
    )
    for folder in (old, new, other, full):
        folder.mkdir()
    (full / "fetcher-0").touch()
    (temporary / "dicomweb-gateway-link").symlink_to(other)
    (temporary / "dicomweb-gateway-file").touch()
    for folder in (old, other, full):
        os.utime(folder, (1, 1))
    remove_left_behind(temporary)
    assert not old.exists()
    assert len(list(temporary.iterdir())) == 5
