"""Workers that hang or die cost the file they were at, and nothing else."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.pool import WorkerPool
from dicomweb_gateway.emulator.ingest.tasks import Answer, Died, IdentifyTask, ImportTask, Refusal, Task
from tests.emulator.files import ct_slice, save

HTJ2K = "1.2.840.10008.1.2.4.202"


def import_task(path: Path) -> ImportTask:
    return ImportTask(str(path), path.parent / "blobs", "0" * 32, HTJ2K)


def answers(pool: WorkerPool, tasks: list[Task]) -> list[Answer]:
    return [answer for _, answer in pool.run(tasks, threading.Event())]


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(size=1, time_limit=3)
    yield pool
    pool.close()


@pytest.fixture
def blocking(tmp_path: Path) -> Path:
    """A file that nobody can finish reading."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def children() -> list[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return [int(pid) for listed in lists for pid in listed.read_text().split()]


def test_good_and_bad_files(pool, tmp_path):
    good, bad = save(ct_slice(1), tmp_path / "1.dcm"), tmp_path / "2.dcm"
    bad.write_text("no DICOM")
    first, second, third = answers(
        pool, [import_task(good), import_task(bad), IdentifyTask((str(good), str(bad)))]
    )
    assert isinstance(first, ImportedInstance)
    assert isinstance(second, Refusal)
    assert isinstance(third, tuple)
    assert isinstance(third[1], Refusal)


def test_file_that_takes_too_long(pool, blocking, tmp_path):
    good = save(ct_slice(1), tmp_path / "1.dcm")
    first, second = answers(pool, [import_task(blocking), import_task(good)])
    assert isinstance(first, Died)
    assert "longer than" in first.reason
    assert isinstance(second, ImportedInstance)


def test_worker_that_is_killed_at_work(blocking, tmp_path):
    good = save(ct_slice(1), tmp_path / "1.dcm")
    pool = WorkerPool(size=1, time_limit=60)
    before = set(children())

    def kill_at_work() -> None:
        writer = None
        while writer is None:
            with suppress(OSError):
                writer = os.open(blocking, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.02)
        [worker] = set(children()) - before
        os.kill(worker, signal.SIGKILL)
        os.close(writer)

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    first, second = answers(pool, [import_task(blocking), import_task(good)])
    killer.join()
    pool.close()
    assert isinstance(first, Died)
    assert "died" in first.reason
    assert isinstance(second, ImportedInstance)


def test_worker_that_died_while_idle_is_replaced(pool, tmp_path):
    good = save(ct_slice(1), tmp_path / "1.dcm")
    before = set(children())
    answers(pool, [import_task(good)])
    [worker] = set(children()) - before
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.1)
    [answer] = answers(pool, [import_task(good)])
    assert isinstance(answer, ImportedInstance | Died)
    [answer] = answers(pool, [import_task(good)])
    assert isinstance(answer, ImportedInstance)


def test_stop_ends_the_run_early(blocking):
    pool, stop = WorkerPool(size=1, time_limit=60), threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    assert list(pool.run([import_task(blocking)], stop)) == []
    pool.close()
