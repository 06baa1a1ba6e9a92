"""Small files that change while the gateway runs."""

import os

import pytest

from dicomweb_gateway.access.users import read_users
from dicomweb_gateway.access.watched_file import WatchedFile
from dicomweb_gateway.errors import SettingsError


def test_it_is_looked_at_once_a_second_at_most(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dicomweb_gateway.access.watched_file.time.monotonic", lambda: now[0])
    path = tmp_path / "file"
    path.write_text("one")
    watched = WatchedFile(path, str.upper, "")
    assert watched.content == "ONE"
    for number, text in enumerate(("two", "six")):
        path.write_text(text)
        # as long as it was, and yet another
        os.utime(path, ns=(0, number))
        now[0] += 0.5
        assert watched.content != text.upper()
        now[0] += 0.6
        assert watched.content == text.upper()


def test_files_that_cannot_be_read(tmp_path):
    for content in (b"\xff", b"#" * (17 << 20)):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(SettingsError):
            read_users(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_users(tmp_path)


@pytest.mark.parametrize(
    ("mode", "secret", "warned"),
    [
        (0o600, True, False),
        (0o640, True, False),
        (0o644, True, True),
        (0o644, False, False),
        (0o606, False, True),
    ],
)
def test_who_may_read_the_file(tmp_path, caplog, mode, secret, warned):
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(mode)
    assert WatchedFile(path, str.upper, "", secret).content == "X"
    assert ("chmod 600" in caplog.text) is warned
