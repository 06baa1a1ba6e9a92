"""Failures over processes, in bounded memory."""

import os

import pytest

from dicomweb_gateway.access import shared_failures
from dicomweb_gateway.access.shared_failures import SharedFailures


def test_what_another_process_notes_is_seen():
    shared = SharedFailures(2)
    ours = shared.claim(0)
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        shared.claim(1).fail("a", 50.0, 10)
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    ours.fail("a", 51.0, 10)
    assert ours.failures("a", 52.0, 10) == (2, 51.0)
    ours.forgive("a", 53.0)
    assert ours.failures("a", 54.0, 10).number == 0
    os.write(go[1], b".")
    os.waitpid(pid, 0)
    for end in (*ready, *go):
        os.close(end)


def test_what_is_old_counts_no_more():
    book = SharedFailures(1).claim(0)
    for moment in (1.0, 2.0, 20.0):
        book.fail("a", moment, 10)
    assert book.failures("a", 21.0, 10) == (1, 20.0)
    assert book.failures("a", 31.0, 10).number == 0


@pytest.fixture
def few_cells(monkeypatch):
    monkeypatch.setattr(shared_failures, "CELLS", 16)
    shared_failures._place.cache_clear()
    yield SharedFailures(1).claim(0)
    shared_failures._place.cache_clear()


def test_of_more_names_than_there_are_cells_the_latest_are_known(few_cells):
    for number in range(100):
        few_cells.fail(str(number), float(number + 1), 1000)
    assert [n for n in range(100) if few_cells.failures(str(n), 101.0, 1000).number] == [*range(84, 100)]
    few_cells.forgive("never failed", 102.0)
    assert few_cells.failures("84", 103.0, 1000).number == 1
