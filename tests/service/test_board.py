"""The board that master and children share."""

import os
import time

from dicomweb_gateway.service.board import KEEPS_ENDING, ROWS, Board


def test_a_child_tells_the_master_that_it_is_well():
    board = Board()
    row = board.claim("web process 0")
    row.starts()
    assert row.beat == 0
    pid = os.fork()
    if pid == 0:
        row.alive()
        os._exit(0)
    os.waitpid(pid, 0)
    assert 0 <= time.monotonic() - row.beat < 60
    (state,) = board.states()
    assert (state.name, state.failures, state.restarts) == ("web process 0", 0, 0)


def test_trouble_names_who_keeps_ending_and_goes():
    board = Board()
    rows = [board.claim(name) for name in ("web process 0", "frame fetcher 0", "frame fetcher 1")]
    rows[0].count(KEEPS_ENDING - 1, 7)
    assert board.trouble() is None
    rows[1].count(KEEPS_ENDING, KEEPS_ENDING)
    assert board.trouble() == "frame fetcher 0 keeps ending"
    rows[1].count(0, KEEPS_ENDING)
    assert board.trouble() is None
    rows[2].count(9, 9)
    rows[2].free()
    assert board.trouble() is None
    assert len(board.states()) == 2


def test_rows_are_used_again():
    board = Board()
    for _ in range(2 * ROWS):
        row = board.claim("x" * 40)
        row.alive()
        assert row.state.name == "x" * 32
        row.free()
    assert board.states() == []
