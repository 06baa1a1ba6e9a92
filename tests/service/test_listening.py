"""Sockets of our own, and those that are handed over (sd_listen_fds)."""

import os
import socket
import subprocess
import sys

import pytest

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.listening import Listening, handed_over, listen_tcp
from tests.conftest import ROOT

ADOPTING = """
import fcntl, os, sys
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.listening import listen
from dicomweb_gateway.settings import load_settings

held = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[1].split(",")]
for number, one in enumerate(held):
    os.dup2(one, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(held)))
given = dict(pair.split("=") for pair in sys.argv[2:])
try:
    found = listen(load_settings(given))
    doors = [found.door(number).fileno() for number in range(found.processes)]
    print(found.address, found.processes, doors, "LISTEN_FDS" in os.environ)
except SettingsError as error:
    print("refused:", error)
"""


def adopt(sockets, *settings):
    """What a process says that is handed `sockets`."""
    numbers = ",".join(str(one.fileno()) for one in sockets)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOST", "AUTH_MODE")}
    return subprocess.run(
        [sys.executable, "-c", ADOPTING, numbers, *settings],
        pass_fds=[one.fileno() for one in sockets],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_one_socket_for_each_process_on_one_address():
    sockets = listen_tcp("127.0.0.1", 0, 3)
    try:
        assert len({one.getsockname() for one in sockets}) == 1
        listening = Listening.on(sockets, 3)
        assert [listening.door(number) for number in range(3)] == sockets
        assert listening.address == f"127.0.0.1:{listening.port}"
        with pytest.raises(SettingsError, match="cannot listen"):
            listen_tcp("127.0.0.1", listening.port, 1)
    finally:
        for one in sockets:
            one.close()


def test_handed_over_sockets_become_the_processes_own():
    sockets = listen_tcp("127.0.0.1", 0, 2)
    try:
        address = f"127.0.0.1:{sockets[0].getsockname()[1]}"
        assert adopt(sockets) == f"{address} 2 [3, 4] False"
        assert adopt(sockets, "web_processes=3") == f"{address} 3 [3, 4, 3] False"
        assert adopt(sockets[:1], "web_processes=2") == f"{address} 2 [3, 3] False"
        assert "WEB_PROCESSES is 1, but the socket unit has 2" in adopt(sockets, "web_processes=1")
    finally:
        for one in sockets:
            one.close()


def test_what_others_can_reach_needs_a_login_or_a_word():
    with socket.create_server(("0.0.0.0", 0)) as door:
        assert "which others can reach: set AUTH_MODE" in adopt([door])
        assert adopt([door], "host=0.0.0.0", "web_processes=1").startswith("0.0.0.0:")


def test_other_sockets_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as deaf:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        assert adopt([unix]).startswith("refused: the socket unit must have")
        deaf.bind(("127.0.0.1", 0))
        assert adopt([deaf]).startswith("refused: the socket unit must have")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        assert "one address" in adopt([one, other])


def test_what_is_for_another_process_is_not_taken():
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "x"}
    assert handed_over(environment) == []
    assert environment == {}
    assert handed_over({}) == []


@pytest.mark.parametrize("outlive", [False, True])
def test_at_the_end_nobody_new_comes_and_who_is_there_is_let_in(outlive):
    (made,) = listen_tcp("127.0.0.1", 0, 1)
    with made.dup() as held, socket.create_connection(made.getsockname()) as early:
        address = made.getsockname()
        Listening.on([made], 1, outlive).end()
        with socket.socket() as late:
            late.settimeout(0.2 if not outlive else 10)
            if outlive:
                late.connect(address)
            else:
                with pytest.raises(TimeoutError):
                    late.connect(address)
        accepted, peer = held.accept()
        with accepted:
            assert peer == early.getsockname()
            early.sendall(b"still heard")
            assert accepted.recv(100) == b"still heard"
