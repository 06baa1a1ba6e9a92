"""Access rules that change while the gateway runs."""

import logging
from pathlib import Path

import pytest

from dicomweb_gateway.access import rules_file
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.access.rules_file import RulesFile
from dicomweb_gateway.errors import SettingsError

BOB = Caller("bob", "token")


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_file, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(rules_file, "_SETTLE_SECONDS", -1.0)


def may_search(rules: RulesFile) -> bool:
    return not rules.sight_of(BOB, "/aetitle", Operation.SEARCH).is_nothing


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rules]]\nusers = ['bob']")
    rules = RulesFile(path, ("/aetitle",))
    assert may_search(rules)
    path.write_text("[[rules]]\nusers = ['somebody else']")
    assert not may_search(rules)


def test_a_torn_or_missing_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rules]]\nusers = ['bob']")
    rules = RulesFile(path, ("/aetitle",))
    with caplog.at_level(logging.ERROR):
        path.write_text("[[rules")
        assert may_search(rules)
        path.unlink()
        assert may_search(rules)
        assert may_search(rules)
    assert [record.message[:31] for record in caplog.records] == ["the access rules did not change"] * 2
    path.write_text("rules = []")
    assert not may_search(rules)


@pytest.mark.parametrize("torn", ["", "# rules", "[[rules]]\nusers = ['eve']\n"])
def test_a_file_that_is_being_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    monkeypatch.setattr(rules_file, "_SETTLE_SECONDS", 3600.0)
    path = tmp_path / "rules.toml"
    path.write_text("[[rules]]\nusers = ['eve']\noperations = ['rendered']")
    rules, eve = RulesFile(path, ("/aetitle",)), Caller("eve", "token")
    path.write_text(torn)
    assert rules.sight_of(eve, "/aetitle", Operation.SEARCH).is_nothing
    path.write_text("[[rules]]\nusers = ['bob']\n# whole")
    assert not may_search(rules)
    assert may_search(rules), "it has not changed since it was looked at before"
    assert rules.sight_of(eve, "/aetitle", Operation.SEARCH).is_nothing


@pytest.mark.parametrize("text", ["", "# nothing\n", "[paths.'/aetitle']\ndata_stores = ['x']"])
def test_a_file_without_rules_does_not_end_those_in_force(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rules]]\nusers = ['eve']")
    rules = RulesFile(path, ("/aetitle",))
    path.write_text(text)
    assert not may_search(rules)
    assert not may_search(rules)


def test_an_empty_file_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("# to be written\n")
    with pytest.raises(SettingsError, match="neither rules nor paths"):
        RulesFile(path, ("/aetitle",))


def test_a_bad_file_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        RulesFile(tmp_path / "none.toml", ("/aetitle",))


def test_without_a_file_all_who_are_known_may_read() -> None:
    assert may_search(RulesFile(None, ("/aetitle",)))


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_file, "_MOST_KEPT", 3)
    rules = RulesFile(None, ("/aetitle",))
    for number in range(10):
        rules.sight_of(Caller(f"caller {number}", "token"), None, Operation.TLM)
    assert len(rules._sights) == 3
