"""Static tokens: made, known, expired, removed; the file holds hashes, and a torn one changes nothing."""

import logging
import stat
import tomllib
from hashlib import sha256

import pytest

from dicomweb_gateway.access.tokens import StaticTokens, add_token, read_tokens, remove_token
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
