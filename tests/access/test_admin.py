"""The user `admin`: by the password of the settings, with a mode that nobody else has."""

import pytest

from dicomweb_gateway.access.admin import admin_of_file, admin_user, password_in
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import GRANTED, READING, Operation
from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.access.users import set_user
from dicomweb_gateway.errors import SettingsError, Unauthenticated

SALT = b"s" * 16
WORDS = "battery staple"


def test_every_process_makes_the_same_of_a_password_and_no_other_service_does():
    assert admin_user(WORDS, SALT) == admin_user(WORDS, SALT)
    assert admin_user(WORDS, SALT).password != admin_user(WORDS, b"t" * 16).password
    assert WORDS not in repr(admin_user(WORDS, SALT))
    with pytest.raises(SettingsError, match="8 to"):
        admin_user("short", SALT)


def test_the_admin_comes_in_beside_users_and_in_the_place_of_one(tmp_path):
    set_user(tmp_path / "u", "admin", "of the file", ())
    set_user(tmp_path / "u", "anna", "correct horse", ())
    admin = admin_user(WORDS, SALT)
    for login in (BasicLogin(tmp_path / "u", lambda: admin), BasicLogin(None, lambda: admin)):
        caller, proof = login.log_in("admin", WORDS, "10.0.0.1")
        assert (caller.name, caller.mode, caller.groups) == ("admin", "admin", {"admin"})
        assert login.still(caller, proof) == caller
        assert login.still(caller, "another password's") is None
        with pytest.raises(Unauthenticated):
            login.log_in("admin", "of the file", "10.0.0.2")
    caller, proof = BasicLogin(tmp_path / "u").log_in("admin", "of the file", "10.0.0.1")
    assert caller.mode == "basic"
    # a user of that name is no administrator's session, nor the other way round
    assert BasicLogin(tmp_path / "u", lambda: admin).still(caller, proof) is None


def test_nobody_comes_in_where_there_is_neither():
    with pytest.raises(Unauthenticated):
        BasicLogin(None).log_in("admin", WORDS, "10.0.0.1")


def test_a_changed_file_is_another_password(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{WORDS}\n")
    path.chmod(0o600)
    assert password_in(path) == WORDS
    login = BasicLogin(None, admin_of_file(path, SALT))
    caller, proof = login.log_in("admin", WORDS, "10.0.0.1")
    path.write_text("something new")
    fresh = BasicLogin(None, admin_of_file(path, SALT))
    assert fresh.still(caller, proof) is None
    assert fresh.log_in("admin", "something new", "10.0.0.1")[0] == caller
    for text in ("", "short", "x" * 2000):
        path.write_text(text)
        with pytest.raises(SettingsError, match="must hold a password"):
            password_in(path)
        assert admin_of_file(path, SALT)() is None


def test_the_admin_administers_whatever_the_rules_say_and_reads_what_they_grant():
    admin = Caller("admin", "admin", groups=frozenset({"admin"}))
    without = AccessRules(("/a",))
    assert {one for one in GRANTED if not without.sight_of(admin, "/a", one).is_nothing} == set(GRANTED)
    closed = AccessRules(("/a",), (Rule(groups=("readers",)),))
    assert {one for one in GRANTED if not closed.sight_of(admin, "/a", one).is_nothing} == {Operation.ADMIN}
    granted = AccessRules(("/a",), (Rule(modes=("admin",)),))
    assert {one for one in GRANTED if not granted.sight_of(admin, "/a", one).is_nothing} == {
        Operation.ADMIN,
        *READING,
    }
    for other in (Caller("admin", "basic"), Caller("admin", "oidc", groups=frozenset({"admin"}))):
        assert closed.sight_of(other, "/a", Operation.ADMIN).is_nothing
