"""Reload, end, restart and crashes of a service under load: what fails is counted (issue 7)."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.service.notified import Manager

from .house import wait_for
from .load import frame_paths, load
from .running import NO_AWS
from .served import COMMAND, filled_emulator, run

STUDY = "1.2.826.0.1.3680043.10.1443.77.1"

LAUNCHER = """
import fcntl, os, sys
held = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[1].split(",")]
for number, one in enumerate(held):
    os.dup2(one, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(held)))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an index of 100 frames; more than the frame store of the services below can hold."""
    folder = tmp_path_factory.mktemp("house")
    write_synthetic_series(folder / "in", slices=100, size=128)
    with filled_emulator(folder) as url:
        (folder / "environment.json").write_text(json.dumps({"AHI_ENDPOINT": url}))
        assert run(environment_of(folder, folder / "data"), "index", "sync").returncode == 0
        yield folder


def environment_of(house: Path, data: Path) -> dict[str, str]:
    return {
        **os.environ,
        **NO_AWS,
        **json.loads((house / "environment.json").read_text()),
        "DATA_DIR": str(data),
        "DATABASE_URL": f"sqlite:///{house / 'data' / 'index.sqlite'}",
        "CACHE_MAX_BYTES": str(1 << 20),
        "WEB_PROCESSES": "2",
        "PREFETCH": "false",
        "LOG_FORMAT": "json",
    }


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    log: Path
    port: int
    environment: dict[str, str]
    config: Path

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self, name: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"{name} started, pid (\d+)", self.log.read_text())]

    def reload(self) -> subprocess.CompletedProcess[str]:
        return run(self.environment, "--config", str(self.config), "reload")

    def health(self) -> tuple[int, str]:
        answer = requests.get(f"{self.root}/health", timeout=20)
        return answer.status_code, answer.text


@contextmanager
def service(
    house: Path, folder: Path, sockets: tuple[socket.socket, ...] = (), **more: str
) -> Iterator[Service]:
    """A running gateway, and the manager that it tells of its state; ready."""
    environment = {**environment_of(house, folder / "data"), "PORT": "0", **more}
    config, log = folder / "config.toml", folder / f"serve-{time.monotonic_ns()}.log"
    if not config.exists():
        config.write_text("drain_seconds = 10\n")
    arguments = [*COMMAND[1:], "--config", str(config), "serve"]
    if sockets:
        numbers = ",".join(str(one.fileno()) for one in sockets)
        arguments = ["-c", LAUNCHER, numbers, *arguments]
    passed = [one.fileno() for one in sockets]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=out, stderr=out, pass_fds=passed
        )
    try:
        listening: list[str] = []

        def is_up() -> bool:
            listening[:] = re.findall(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())
            assert process.poll() is None, log.read_text()
            return bool(listening)

        wait_for(is_up)
        running = Service(process, log, int(listening[0]), environment, config)
        wait_for(lambda: requests.get(f"{running.root}/health", timeout=60).status_code == 200)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def quiet(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One gateway for the tests that leave it as they found it; none of them puts load on it."""
    with service(house, tmp_path_factory.mktemp("quiet")) as running:
        yield running


def test_reloads_under_load_fail_no_request(house: Path, tmp_path: Path) -> None:
    with service(house, tmp_path) as running:
        wanted = frame_paths(running.root, STUDY)
        before = running.pids("web process 0") + running.pids("frame fetcher 0")
        nothing = f"{running.root}/aetitle/studies?PatientID=nobody"
        with load(running.port, wanted) as tally:
            for fetchers, status in ((2, 204), (1, 200)):
                running.config.write_text(
                    f"drain_seconds = 10\nfetcher_processes = {fetchers}\nempty_status = {status}\n"
                )
                told = running.reload()
                assert told.returncode == 0, told.stderr
                assert f"pid {running.process.pid}" in told.stdout
                time.sleep(1)
                assert requests.get(nothing, timeout=30).status_code == status
        assert not tally.failures
        assert (set(tally.statuses), tally.wrong) == ({200}, 0)
        assert tally.asked > 100
        assert tally.closed
        print(f"2 reloads: {tally.asked} requests, 0 failed, {tally.closed} told to connect anew")
        wait_for(lambda: not any(map(lives, before)))
        assert len(running.pids("web process 0")) == 3


def test_a_reload_with_broken_settings_keeps_the_old_ones(quiet: Service, tmp_path: Path) -> None:
    before = len(quiet.pids("web process 0"))
    for text, word in (
        ("log_level = 'loud'\n", "LOG_LEVEL"),
        ("web_threads = 1\n", "WEB_THREADS"),
        ("host = '0.0.0.0'\n", "HOST"),
        (f"access_rules = '{tmp_path}/none.toml'\n", "ACCESS_RULES"),
        ("db_tls_ca = 'x'\n", "DB_TLS_CA"),
    ):
        quiet.config.write_text(text)
        told = quiet.reload()
        assert told.returncode in (1, 2)
        assert told.stderr.startswith("error: ")
        assert told.stderr.count("\n") == 1
        assert word in told.stderr
        os.kill(quiet.process.pid, signal.SIGHUP)
        refused = f"the reload is refused and nothing has changed: {word}"
        wait_for(lambda refused=refused: refused in quiet.log.read_text())
    quiet.config.write_text("drain_seconds = 10\n")
    assert quiet.health() == (200, "OK")
    assert len(quiet.pids("web process 0")) == before


def test_running_answers_finish_when_it_ends_under_load(house: Path, tmp_path: Path) -> None:
    with service(house, tmp_path) as running:
        wanted = frame_paths(running.root, STUDY)
        with load(running.port, wanted) as tally:
            wait_for(lambda: tally.asked > 50)
            running.process.terminate()
            assert running.process.wait(30) == 0
        # who comes afterwards finds nobody; nobody who was let in is left without an answer
        assert set(tally.failures) <= {"ConnectionRefusedError"}
        assert (set(tally.statuses), tally.wrong) == ({200}, 0)
        print(f"SIGTERM: {tally.statuses.total()} answered, {tally.closed} told to connect anew, 0 cut")


def test_a_restart_on_handed_over_sockets_fails_no_request(house: Path, tmp_path: Path) -> None:
    held = reuse_port_sockets(2)
    with ExitStack() as services:
        for one in held:
            services.callback(one.close)
        first = services.enter_context(service(house, tmp_path, held))
        wanted = frame_paths(first.root, STUDY)
        with load(first.port, wanted) as tally:
            for restarts in range(3):
                wait_for(lambda least=50 * restarts: tally.asked > least)
                first.process.terminate()
                assert first.process.wait(60) == 0
                first = services.enter_context(service(house, tmp_path, held))
            answered = tally.asked
            wait_for(lambda: tally.asked > answered + 50)
    assert not tally.failures
    assert (set(tally.statuses), tally.wrong) == ({200}, 0)
    print(f"3 restarts on handed-over sockets: {tally.asked} requests, 0 failed")


def test_killed_processes_cost_their_own_requests_only(house: Path, tmp_path: Path) -> None:
    with service(house, tmp_path) as running:
        wanted = frame_paths(running.root, STUDY)
        with load(running.port, wanted) as tally:
            wait_for(lambda: tally.asked > 50)
            os.kill(running.pids("frame fetcher 0")[0], signal.SIGKILL)
            wait_for(lambda: len(running.pids("frame fetcher 0")) == 2)
            time.sleep(1)
            assert not tally.failures
            os.kill(running.pids("web process 0")[0], signal.SIGKILL)
            wait_for(lambda: len(running.pids("web process 0")) == 2)
            time.sleep(2)
        assert (set(tally.statuses), tally.wrong) == ({200}, 0)
        # a request of each client at most: those that the killed process had
        assert tally.failures.total() <= 8
        print(f"kill: {tally.asked} requests, {tally.failures.total()} failed, by a killed web process")


def test_a_web_process_that_keeps_ending_keeps_nobody_waiting(quiet: Service) -> None:
    name = "web process 0"
    before = len(quiet.pids(name))
    for killed in range(5):
        wait_for(lambda number=before + killed: len(quiet.pids(name)) >= number)
        os.kill(quiet.pids(name)[-1], signal.SIGKILL)
    # the next one comes in 3.2 s, and connections that the kernel gave to the dead do not wait for it
    waited = []
    for _ in range(12):
        began = time.monotonic()
        assert requests.get(f"{quiet.root}/healthcheck", timeout=30).status_code == 200
        waited.append(time.monotonic() - began)
    print(f"while a web process keeps ending: {max(waited):.1f} s at most until an answer")
    wait_for(lambda: quiet.health()[0] == 503 and "web process 0 keeps ending" in quiet.health()[1])
    wait_for(lambda: quiet.health() == (200, "OK"))


def test_a_crash_loop_turns_health_red_and_it_recovers(quiet: Service) -> None:
    name = "frame fetcher 0"
    before = len(quiet.pids(name))
    for killed in range(4):
        wait_for(lambda number=before + killed: len(quiet.pids(name)) >= number)
        pid = quiet.pids(name)[-1]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: not lives(pid))
    wait_for(lambda: quiet.health()[0] == 503)
    assert "frame fetcher" in quiet.health()[1]
    wait_for(lambda: quiet.health()[0] == 503 and "keeps ending" in quiet.health()[1])
    wait_for(lambda: quiet.health() == (200, "OK"))


def test_systemd_is_told_of_every_state(house: Path, tmp_path: Path) -> None:
    with Manager(f"@dicomweb-gateway-test-{os.getpid()}") as manager:
        told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000"}
        with service(house, tmp_path, **told) as running:
            manager.until("READY=1")
            assert "serving 127.0.0.1" in manager.text
            manager.until("WATCHDOG=1")
            manager.clear()
            assert running.reload().returncode == 0
            manager.until("READY=1")
            first, *_ = re.findall(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.text)
            assert abs(int(first) / 1e6 - time.monotonic()) < 60
            assert manager.text.index("RELOADING=1") < manager.text.rindex("READY=1")
        manager.until("STOPPING=1")


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def reuse_port_sockets(count: int) -> tuple[socket.socket, ...]:
    made: list[socket.socket] = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", made[0].getsockname()[1] if made else 0))
        one.listen(1024)
        made.append(one)
    return tuple(made)
