"""Which sockets need another process to accept from them."""

import socket

from dicomweb_gateway.service import neighbours as module
from dicomweb_gateway.service.board import Board
from dicomweb_gateway.service.neighbours import Neighbours


def test_sockets_of_processes_that_are_not_well_are_named(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    board = Board()
    rows = [board.claim(name) for name in ("a", "b")]
    with socket.socket() as first, socket.socket() as second:
        neighbours = Neighbours([(first, rows[0]), (second, rows[1])])
        rows[0].alive()
        assert neighbours.unattended() == [second]
        # asked at every turn of a loop, looked at now and then
        assert neighbours.unattended() == []
        now[0] += 1
        rows[1].alive()
        assert neighbours.unattended() == []
        now[0] += 30
        assert neighbours.unattended() == [first, second]
        emptied = []
        neighbours.close(emptied.append)
        assert emptied == [first, second]
        assert first.fileno() == second.fileno() == -1
