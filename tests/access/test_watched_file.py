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


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dicomweb_gateway.access.watched_file.time.monotonic", lambda: now[0])
    return now


def test_who_stood_in_a_file_that_is_gone_comes_in_no_more(tmp_path, clock, caplog):
    path = tmp_path / "file"
    path.write_text("one")
    watched = WatchedFile(path, str.upper, "")
    path.unlink()
    clock[0] += 2
    # whoever replaces a file takes it away for a moment
    assert watched.content == "ONE"
    assert watched.trouble == "a file of logins is gone"
    clock[0] += 11
    assert watched.content == ""
    assert "comes in any more" in caplog.text
    assert str(path) not in watched.trouble
    for _ in range(3):
        said = len(caplog.records)
        clock[0] += 61
        assert watched.content == ""
        assert len(caplog.records) == said + 1
    path.write_text("two")
    clock[0] += 2
    assert (watched.content, watched.trouble) == ("TWO", None)


def test_what_was_read_of_a_torn_file_holds_and_is_complained_about(tmp_path, clock, caplog):
    def parse(text):
        if text == "torn":
            raise SettingsError("it is torn")
        return text.upper()

    path = tmp_path / "file"
    path.write_text("one")
    watched = WatchedFile(path, parse, "")
    path.write_text("torn")
    for _ in range(3):
        said = len(caplog.records)
        clock[0] += 61
        assert watched.content == "ONE"
        assert len(caplog.records) == said + 1
    assert watched.trouble == "a file of logins cannot be used"


def test_a_file_that_was_never_there_is_no_trouble(tmp_path, clock):
    watched = WatchedFile(tmp_path / "file", str.upper, "")
    clock[0] += 100
    assert (watched.content, watched.trouble) == ("", None)


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
