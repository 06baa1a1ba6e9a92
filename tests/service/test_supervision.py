"""The supervisor with real forks: replacing, backing off, once, reloading, ending in order (DESIGN 1)."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.supervision import Supervisor

PARENT = """
import os, signal, sys, time
from pathlib import Path
from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.supervision import Supervisor

folder = Path(sys.argv[1])

def note(text):
    with open(folder / "log", "a") as log:
        log.write(f"{text}\\n")

def started(name):
    note(f"start {name} {os.getpid()}")

def stay(name):
    def run():
        def end(*_):
            note(f"end {name}")
            raise SystemExit(0)
        signal.signal(signal.SIGTERM, end)
        started(name)
        while True:
            time.sleep(10)
    return run

def leave(name, code):
    def run():
        started(name)
        raise SystemExit(code)
    return run
"""


class Run:
    """A supervisor in a process of its own, and what its children wrote."""

    def __init__(self, folder: Path, body: str) -> None:
        self._log = folder / "log"
        code = PARENT + textwrap.dedent(body)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(folder)], stderr=subprocess.PIPE
        )

    @property
    def lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[2]) for line in self.lines if line.startswith(f"start {name} ")]

    def until(self, done) -> None:
        deadline = time.monotonic() + 20
        while not done():
            if time.monotonic() > deadline or (self.process.poll() is not None and not done()):
                pytest.fail(f"never came: {self.lines}, {self.process.poll()}")
            time.sleep(0.01)

    def end(self, number=signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(body):
        running.append(Run(tmp_path, body))
        return running[-1]

    yield begin
    for run in running:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()
        run.process.stderr.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        not Path(f"/proc/{pid}/stat").exists()
        or Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    )


def test_a_killed_child_is_replaced_and_the_others_stay(start):
    run = start("""
        children = [Child("a", stay("a")), Child("b", stay("b"))]
        sys.exit(Supervisor(children).run())
    """)
    run.until(lambda: run.pids("a") and run.pids("b"))
    os.kill(run.pids("a")[0], signal.SIGKILL)
    run.until(lambda: len(run.pids("a")) == 2)
    assert len(run.pids("b")) == 1
    pids = run.pids("a")[1:] + run.pids("b")
    assert run.end() == 0
    assert not any(map(alive, pids))


def test_children_end_in_their_order(start):
    run = start("""
        order = {"late": 2, "early": 0, "middle": 1}
        children = [Child(name, stay(name), number) for name, number in order.items()]
        sys.exit(Supervisor(children).run())
    """)
    run.until(lambda: all(run.pids(name) for name in ("late", "early", "middle")))
    assert run.end() == 0
    assert [line for line in run.lines if line.startswith("end")] == ["end early", "end middle", "end late"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_and_sigterm_both_end_all(start, number):
    run = start("""
        sys.exit(Supervisor([Child("a", stay("a"))]).run())
    """)
    run.until(lambda: run.pids("a"))
    assert run.end(number) == 0
    assert run.lines[-1] == "end a"


def test_a_child_that_ends_with_2_ends_all(start):
    run = start("""
        def refuse():
            while not (folder / "log").exists():
                time.sleep(0.01)
            raise SystemExit(2)
        children = [Child("a", stay("a")), Child("refusing", refuse)]
        sys.exit(Supervisor(children).run())
    """)
    assert run.process.wait(20) == 2
    assert run.lines[-1] == "end a"


def test_once_is_not_replaced_after_success_but_after_failure(start):
    run = start("""
        def fail_first():
            started("loader")
            raise SystemExit(1 if sum("loader" in line for line in open(folder / "log")) == 1 else 0)
        once = [Child("done", leave("done", 0), once=True), Child("loader", fail_first, once=True)]
        children = [*once, Child("a", stay("a"))]
        sys.exit(Supervisor(children).run())
    """)
    run.until(lambda: len(run.pids("loader")) == 2 and run.pids("a"))
    # a further death wakes the supervisor: whatever it meant to start again would be due
    os.kill(run.pids("a")[0], signal.SIGKILL)
    run.until(lambda: len(run.pids("a")) == 2)
    assert (len(run.pids("done")), len(run.pids("loader"))) == (1, 2)
    assert run.end() == 0


def test_a_child_that_raises_is_replaced(start):
    run = start("""
        def crash():
            started("crash")
            raise RuntimeError("why it fell")
        sys.exit(Supervisor([Child("crash", crash)]).run())
    """)
    run.until(lambda: len(run.pids("crash")) == 2)
    assert run.end() == 0
    assert b"why it fell" in run.process.stderr.read()


RENEWING = """
def web(generation):
    return Child("web", stay(f"web{generation}"), renewed=True)

def fetcher(generation):
    return Child("fetcher", stay(f"fetcher{generation}"), 1, renewed=True)

generations = iter(range(1, 9))
"""


def test_a_reload_replaces_only_what_is_renewed(start):
    run = start(f"""
        {textwrap.indent(RENEWING, " " * 8).strip()}

        children = [Child("helper", stay("helper")), web(0), fetcher(0)]
        sys.exit(Supervisor(children, lambda: [web(n := next(generations)), fetcher(n)]).run())
    """)
    run.until(lambda: run.pids("web0") and run.pids("fetcher0") and run.pids("helper"))
    for generation in (1, 2):
        run.process.send_signal(signal.SIGHUP)
        gone = {f"end web{generation - 1}", f"end fetcher{generation - 1}"}
        run.until(lambda gone=gone: gone <= set(run.lines))
        # its line may come after that of the one that it lets go
        run.until(lambda generation=generation: run.pids(f"web{generation}"))
    assert len(run.pids("helper")) == 1
    assert run.end() == 0


def test_a_refused_reload_changes_nothing(start):
    run = start(f"""
        {textwrap.indent(RENEWING, " " * 8).strip()}

        from dicomweb_gateway.errors import SettingsError

        def refuse():
            note("asked")
            raise SettingsError("PORT: why not")
        sys.exit(Supervisor([web(0)], refuse).run())
    """)
    run.until(lambda: run.pids("web0"))
    run.process.send_signal(signal.SIGHUP)
    run.until(lambda: "asked" in run.lines)
    assert run.end() == 0
    assert run.lines[-1] == "end web0"
    assert b"PORT: why not" in run.process.stderr.read()


def test_successors_that_do_not_come_up_are_ended_again(start):
    run = start(f"""
        {textwrap.indent(RENEWING, " " * 8).strip()}

        from dicomweb_gateway.service.board import Board

        board = Board()

        def successors():
            slow = Child("web", stay("slow"), renewed=True, row=board.claim("web"))
            return [slow, Child("fetcher", leave("broken", 1), renewed=True, row=board.claim("fetcher"))]
        sys.exit(Supervisor([web(0), fetcher(0)], successors).run())
    """)
    run.until(lambda: run.pids("web0") and run.pids("fetcher0"))
    # the second reload begins when the first has been given up
    for reloads in (1, 2):
        run.process.send_signal(signal.SIGHUP)
        run.until(lambda reloads=reloads: len(run.pids("broken")) == reloads)
    assert not {"end web0", "end fetcher0"} & set(run.lines)
    assert run.end() == 0
    assert not any(map(alive, run.pids("slow")))
    assert b"fetcher ended with 1" in run.process.stderr.read()


def test_one_that_will_not_end_is_killed(start):
    run = start("""
        def deaf():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            started("deaf")
            while True:
                time.sleep(10)
        sys.exit(Supervisor([Child("deaf", deaf)], grace_seconds=0.3).run())
    """)
    run.until(lambda: run.pids("deaf"))
    assert run.end() == 0
    assert not alive(run.pids("deaf")[0])


def test_children_do_not_outlive_a_killed_parent(start):
    run = start("""
        sys.exit(Supervisor([Child("a", stay("a"))]).run())
    """)
    run.until(lambda: run.pids("a"))
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 10
    while alive(run.pids("a")[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(run.pids("a")[0])
    assert run.lines[-1] == "end a"


def test_failures_in_a_row_wait_longer_up_to_a_limit_and_a_steady_life_forgives():
    child = Child("a", lambda: None)
    supervisor = Supervisor([child])
    delays = []
    for _ in range(12):
        child.started_at = time.monotonic()
        supervisor._schedule(child, 1)
        delays.append(round(child.due_at - time.monotonic(), 1))
    assert delays == sorted(delays)
    assert delays[0] < delays[3] < delays[-1] == 10.0
    child.pid, child.started_at = os.getpid(), time.monotonic() - 60
    supervisor._schedule(child, 1)
    assert child.failures == 0
    assert child.due_at <= time.monotonic()
