"""The files of tokens and users: read again when they change, torn ones left alone, hashes only."""

import logging
import os
import stat
import tomllib
from hashlib import sha256

import pytest

from dicomweb_gateway.access.passwords import Cost, PasswordHash, hash_password, parse_hash
from dicomweb_gateway.access.rows import checked_name
from dicomweb_gateway.access.tokens import StaticTokens, add_token, read_tokens, remove_token
from dicomweb_gateway.access.users import read_users, remove_user, set_user, users_by_name
from dicomweb_gateway.access.watched_file import WatchedFile
from dicomweb_gateway.errors import SettingsError


@pytest.fixture(autouse=True)
def look_always(monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.access.watched_file._LOOK_SECONDS", 0.0)


@pytest.fixture
def tokens(tmp_path):
    return tmp_path / "deep" / "tokens.toml"


def test_a_token_is_made_known_and_removed(tokens):
    token = add_token(tokens, "ct-1", ("devices",), ("read",), None)
    known = StaticTokens(tokens)
    caller = known.caller_of(token)
    assert (caller.name, caller.mode, caller.client) == ("ct-1", "token", "")
    assert (caller.groups, caller.scopes) == ({"devices"}, {"read"})
    text = tokens.read_text()
    assert token not in text
    assert token.removeprefix("dwg_") not in text
    assert tomllib.loads(text)["tokens"][0]["sha256"] == sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
    other = add_token(tokens, "ct-2", (), (), 1)
    assert known.caller_of(other).name == "ct-2"
    assert known.caller_of(token).name == "ct-1"
    for wrong in (token[:-1], f"{token}x", token.upper(), "", "x" * 60, sha256(token.encode()).hexdigest()):
        assert known.caller_of(wrong) is None
    remove_token(tokens, "ct-1")
    assert known.caller_of(token) is None
    assert known.caller_of(other).name == "ct-2"
    with pytest.raises(SettingsError, match="no token named"):
        remove_token(tokens, "ct-1")


def test_tokens_expire(tokens):
    token = add_token(tokens, "a", (), (), 1)
    assert StaticTokens(tokens).caller_of(token)
    (row,) = read_tokens(tokens)
    for expires in ("2020-01-01T00:00:00", "2020-01-01T00:00:00+02:00"):
        tokens.write_text(f'[[tokens]]\nname="a"\nsha256="{row.sha256}"\nexpires={expires}\n')
        assert StaticTokens(tokens).caller_of(token) is None


def test_a_short_token_is_none_whatever_the_file_says(tokens):
    tokens.parent.mkdir()
    digest = sha256(b"secret").hexdigest()
    tokens.write_text(f'[[tokens]]\nname = "a"\nsha256 = "{digest}"\n')
    assert StaticTokens(tokens).caller_of("secret") is None


def test_what_people_wrote_stays(tokens):
    tokens.parent.mkdir()
    tokens.write_text("# ours\n")
    add_token(tokens, "a", (), (), None)
    add_token(tokens, "b", (), (), None)
    assert tokens.read_text().startswith("# ours\n")
    assert [row.name for row in read_tokens(tokens)] == ["a", "b"]
    with pytest.raises(SettingsError, match="already"):
        add_token(tokens, "a", (), (), None)


UNUSABLE = [
    "[[tokens]",
    "[[users]]\nname = 'a'",
    "tokens = 3",
    "[[tokens]]\nname = 'a'",
    "[[tokens]]\nname = 'a'\nsha256 = 'secret-in-the-wrong-place'",
    "[[tokens]]\nname = ''\nsha256 = '" + "0" * 64 + "'",
    "[[tokens]]\nname = 'a'\ngroup = 'x'\nsha256 = '" + "0" * 64 + "'",
    "[[tokens]]\nname = 'a'\nexpires = 'soon'\nsha256 = '" + "0" * 64 + "'",
]


@pytest.mark.parametrize("text", UNUSABLE)
def test_a_torn_file_leaves_what_was_read(tokens, text, caplog):
    token = add_token(tokens, "a", (), (), None)
    known = StaticTokens(tokens)
    assert known.caller_of(token)
    good = tokens.read_text()
    with caplog.at_level(logging.INFO, "dicomweb_gateway"):
        tokens.write_text(text)
        assert known.caller_of(token)
        assert known.caller_of(token)
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        assert "secret" not in caplog.text
        tokens.unlink()
        assert known.caller_of(token)
        tokens.write_text(good.replace('"a"', '"b"'))
        assert known.caller_of(token).name == "b"
    tokens.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_tokens(tokens)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_lets_nobody_in_until_it_is(tokens):
    known = StaticTokens(tokens)
    assert known.caller_of("x" * 60) is None
    token = add_token(tokens, "a", (), (), None)
    assert known.caller_of(token)


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


@pytest.mark.parametrize(
    "name", ["", " ", "a:b", "a,b", 'a"b', "a\nb", "a\x00", " a", "a ", "x" * 256, "a\u202eb"]
)
def test_names_that_are_none(tokens, name):
    with pytest.raises(ValueError, match="name"):
        checked_name(name)
    with pytest.raises(SettingsError):
        add_token(tokens, name, (), (), None)
    with pytest.raises(SettingsError):
        add_token(tokens, "good", (name,), (), None)


@pytest.mark.parametrize(
    "name", ["a", "anna@example.org", "Anna Müller", "CN=anna\\x", "名前", "😀", "x" * 255]
)
def test_names_go_into_the_file_and_back(tmp_path, name):
    token = add_token(tmp_path / "t", name, (name,), (), 3)
    assert StaticTokens(tmp_path / "t").caller_of(token).name == name
    set_user(tmp_path / "u", name, "long enough", (name,))
    assert [(row.name, row.groups) for row in read_users(tmp_path / "u")] == [(name, (name,))]


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


CHEAP = Cost(n=2, r=1, p=1)


def test_password_hashes():
    made = hash_password("pässword", CHEAP)
    assert parse_hash(str(made)) == made
    assert made.fits("pa\u0308ssword")
    assert not made.fits("password")
    assert str(hash_password("pässword", CHEAP)) != str(made)
    assert isinstance(made, PasswordHash)
    assert str(made).rpartition("$")[2] not in repr(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "scrypt$16384$8$5$AAAA$AAAA",
        str(hash_password("password", CHEAP)).replace("scrypt", "md5"),
        str(hash_password("password", CHEAP)).replace("$2$1$1$", "$3$1$1$"),
        str(hash_password("password", CHEAP)).replace("$2$1$1$", "$1048576$8$1$"),
        str(hash_password("password", CHEAP)).replace("$2$1$1$", "$2$1$999$"),
        str(hash_password("password", CHEAP)).replace("$2$1$1$", "$-2$1$1$"),
        str(hash_password("password", CHEAP)) + "=",
    ],
    ids=lambda text: text.split("$")[0],
)
def test_hashes_that_are_none(text):
    with pytest.raises(ValueError, match="scrypt"):
        parse_hash(text)
