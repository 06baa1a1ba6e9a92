import socket
import stat
from pathlib import Path

import pytest

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.frames.sockets import connect, hang_up, limit_sending, listen, send


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "f0")


def test_only_the_owner_may_connect(address):
    with listen(address), connect(address):
        assert stat.S_IMODE(Path(address).stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700


def test_a_stale_socket_is_replaced(address):
    listen(address).close()
    with pytest.raises(OSError, match="refused"):
        connect(address)
    with listen(address) as listening, connect(address) as asker:
        accepted, _ = listening.accept()
        with accepted:
            send(asker, [b"a", b"", b"b"])
            hang_up(asker)
            assert accepted.recv(10) == b"ab"
            assert accepted.recv(10) == b""


@pytest.mark.parametrize("path", ["/" + "x" * 200, "/proc/nowhere/f0"])
def test_an_impossible_path_is_a_setting_to_change(path):
    with pytest.raises(SettingsError):
        listen(path)


def test_sending_to_a_peer_that_does_not_read_fails_in_time():
    sender, silent = socket.socketpair()
    with sender, silent:
        limit_sending(sender, 0.05)
        with pytest.raises(OSError, match="unavailable"):
            send(sender, [bytes(64 << 20)])
