"""Access rules: from a file to what a caller sees."""

from pathlib import Path

import pytest

from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.access.operations import GRANTED, READING, Operation
from dicomweb_gateway.access.rules import AccessRules, read_rules
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight

FIRST, SECOND, THIRD = "a" * 32, "b" * 32, "c" * 32
PATHS = ("/aetitle", "/research")
ALICE = Caller("alice", "oidc", "viewer", frozenset({"radiologists"}), frozenset({"read", "openid"}))


def rules_of(folder: Path, text: str) -> AccessRules:
    (folder / "rules.toml").write_text(text)
    return read_rules(folder / "rules.toml", PATHS)


def test_without_rules_callers_read_everything_and_change_nothing() -> None:
    rules = read_rules(None, PATHS)
    for operation in READING:
        assert rules.sight_of(ALICE, "/aetitle", operation) == EVERYTHING
    assert rules.sight_of(ALICE, "/aetitle", Operation.IMPORT).is_nothing
    assert rules.sight_of(ALICE, None, Operation.ADMIN).is_nothing


def test_without_login_everything_is_allowed() -> None:
    rules = read_rules(None, PATHS)
    assert all(rules.sight_of(ANYBODY, "/aetitle", operation).is_everything for operation in GRANTED)


@pytest.mark.parametrize(
    ("condition", "granted"),
    [
        ("", True),
        ('users = ["ali*"]', True),
        ('users = "alice"', True),
        ('users = ["bob", "Alice"]', False),
        ('users = ["[a]lice"]', False),
        ('clients = ["viewer"]', True),
        ('clients = ["device"]', False),
        ('groups = ["nurses", "radiologists"]', True),
        ('groups = ["nurses"]', False),
        ('scopes = ["read"]', True),
        ('scopes = ["read", "write"]', False),
        ('modes = ["token", "oidc"]', True),
        ('modes = ["basic"]', False),
        ('users = ["alice"]\ngroups = ["nurses"]', False),
    ],
)
def test_all_that_a_rule_names_must_hold(tmp_path: Path, condition: str, granted: bool) -> None:
    rules = rules_of(tmp_path, f"[[rules]]\n{condition}")
    assert rules.sight_of(ALICE, "/aetitle", Operation.SEARCH).is_everything is granted
    assert rules.sight_of(ALICE, "/aetitle", Operation.SEARCH).is_nothing is not granted


def test_operations(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, '[[rules]]\noperations = ["search", "admin"]')
    allowed = {one for one in GRANTED if not rules.sight_of(ALICE, "/aetitle", one).is_nothing}
    assert allowed == {Operation.SEARCH, Operation.ADMIN}
    by_default = rules_of(tmp_path, "[[rules]]")
    assert {one for one in GRANTED if not by_default.sight_of(ALICE, None, one).is_nothing} == set(READING)


def test_grants_add_up(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        f"""
        [[rules]]
        users = ["alice"]
        data_stores = ["{FIRST}"]
        [rules.only]
        Modality = ["CT", "MR"]
        IssuerOfPatientID = "NORTH"
        [[rules]]
        groups = ["radiologists"]
        data_stores = ["{SECOND}"]
        [[rules]]
        groups = ["nurses"]
        """,
    )
    wanted = (("IssuerOfPatientID", ("NORTH",)), ("Modality", ("CT", "MR")))
    assert rules.sight_of(ALICE, "/aetitle", Operation.RETRIEVE) == Sight(
        (Grant(frozenset({FIRST}), wanted), Grant(frozenset({SECOND})))
    )


def test_base_paths_have_data_stores_of_their_own(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        f"""
        [paths."/research"]
        data_stores = ["{SECOND}", "{THIRD}"]
        [[rules]]
        users = ["alice"]
        paths = ["/research"]
        data_stores = ["{FIRST}", "{SECOND}"]
        [[rules]]
        users = ["bob"]
        """,
    )
    bob = Caller("bob", "token")
    seen = {
        (who.name, path): rules.sight_of(who, path, Operation.TLM)
        for who in (ALICE, bob)
        for path in (*PATHS, None)
    }
    assert seen["alice", "/aetitle"].is_nothing
    assert seen["alice", "/research"].stores == {SECOND}
    assert seen["alice", None].stores == {SECOND}
    assert seen["bob", "/aetitle"].is_everything
    assert seen["bob", "/research"].stores == {SECOND, THIRD}
    assert seen["bob", None].is_everything


def test_paths_without_rules_still_have_their_data_stores(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, f'[paths."/research"]\ndata_stores = ["{SECOND}"]')
    assert rules.sight_of(ANYBODY, "/research", Operation.SEARCH).stores == {SECOND}
    assert rules.sight_of(ANYBODY, "/aetitle", Operation.SEARCH).is_everything
    assert rules.sight_of(ANYBODY, None, Operation.TLM).is_everything


def test_an_empty_list_of_rules_grants_nothing(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "rules = []")
    assert rules.sight_of(ANYBODY, "/aetitle", Operation.SEARCH).is_nothing


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rules]]\nuser = ['alice']", "rules.0.user"),
        ("[[rules]]\nusers = []", "rules.0.users"),
        ("[[rules]]\nusers = ['']", "rules.0.users"),
        ("[[rules]]\noperations = ['delete']", "rules.0.operations"),
        ("[[rules]]\noperations = ['public']", "can grant only"),
        ("[[rules]]\n[rules.only]\nPatientName = ['A*']", "cannot ask for 'PatientName'"),
        ("[[rules]]\n[rules.only]\nModality = []", "rules.0.only.Modality"),
        ("[[rules]]\npaths = ['/other']", "'/other' is none of the base paths"),
        ("[paths.'/other']\ndata_stores = ['x']", "'/other' is none of the base paths"),
        ("[paths.'/research']\ndata_stores = []", "paths./research.data_stores"),
        ("[[rules", "is no TOML file"),
        ("[roles]", "roles"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match="ACCESS_RULES") as refused:
        rules_of(tmp_path, text)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_rules(tmp_path / "none.toml", PATHS)


def test_a_base_path_may_have_origins_of_its_own(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, '[paths."/research"]\ncors_origins = "HTTPS://Lab.example.org:443"')
    assert rules.origins_of("/research") == ("https://lab.example.org",)
    assert rules.origins_of("/aetitle") is None
    assert rules.origins_of(None) is None
    assert rules.sight_of(ALICE, "/research", Operation.SEARCH).is_everything


@pytest.mark.parametrize(
    "table", ["", "cors_origins = []", 'cors_origins = ["no origin"]', "data_stores = []"]
)
def test_a_base_path_says_something_that_can_be_used(tmp_path: Path, table: str) -> None:
    with pytest.raises(SettingsError, match="research"):
        rules_of(tmp_path, f'[paths."/research"]\n{table}')
