"""The file of users and their passwords."""

import os
import stat

import pytest

from dicomweb_gateway.access.users import read_users, remove_user, set_user, users_by_name
from dicomweb_gateway.errors import SettingsError


def test_users(tmp_path):
    path = tmp_path / "users.toml"
    set_user(path, "anna", "correct horse", ("a", "b"))
    set_user(path, "ben", "battery staple", ())
    os.chmod(path, 0o640)
    set_user(path, "anna", "another one", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    text = path.read_text()
    assert "another" not in text
    anna = users_by_name(text, path)["anna"]
    assert anna.caller.groups == {"a", "b"}
    assert anna.password.fits("another one")
    assert not anna.password.fits("correct horse")
    set_user(path, "anna", "another one", ("c",))
    assert users_by_name(path.read_text(), path)["anna"].caller.groups == {"c"}
    remove_user(path, "ben")
    assert [row.name for row in read_users(path)] == ["anna"]
    with pytest.raises(SettingsError, match="no user named"):
        remove_user(path, "ben")
    with pytest.raises(SettingsError, match="8 to"):
        set_user(path, "carl", "short", ())
    path.write_text(path.read_text() * 2)
    with pytest.raises(SettingsError, match="twice"):
        read_users(path)
