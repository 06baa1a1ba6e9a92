"""The command line: exit codes, output for scripts, secrets masked (DESIGN 3)."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.sessions import SessionLimits, Sessions
from dicomweb_gateway.cli import main
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.settings import Settings


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`run(*arguments)` on an empty data folder, nothing in the environment."""
    names = {name.upper() for name in Settings.model_fields} | {
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "DB_SECRET_ARN",
    }
    for name in names & set(os.environ):
        monkeypatch.delenv(name)

    def invoke(*arguments, given=None):
        return CliRunner().invoke(main, ["--set", f"data_dir={tmp_path}/data", *arguments], input=given)

    return invoke


def test_config_shows_values_sources_and_no_secrets(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", "9000")
    result = run("--set", "database_url=mysql+pymysql://u:hunter2@h/d", "config", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.output)
    assert set(rows) == set(Settings.model_fields)
    assert rows["port"] == {"value": 9000, "source": "environment"}
    assert rows["data_dir"] == {"value": f"{tmp_path}/data", "source": "command line"}
    assert rows["max_results"]["source"] == "default"
    assert rows["database_url"]["value"].strip("*") == ""
    assert "hunter2" not in result.output


def test_config_for_people(run):
    lines = run("config").output.splitlines()
    assert len(lines) == len(Settings.model_fields)
    assert any(line.split() == ["PORT", "8080", "(default)"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "nonsense=1", "config"], "nonsense"),
        (["--set", "port", "config"], "NAME=VALUE"),
        (["--set", "port=x", "config"], "PORT"),
        (["--config", "/no/such/file.toml", "config"], "does not exist"),
        (["--set", "auth_mode=cognito_jwt", "config"], "AUTH_MODE"),
        (["tokens", "new", "a:b"], "name"),
        (["tokens", "remove", "nobody"], "no token named"),
        (["users", "remove", "nobody"], "no user named"),
        (["users", "set", "anna"], "no password"),
    ],
)
def test_wrong_settings_are_one_sentence_and_exit_2(run, arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["config", "--nonsense"], ["demo", "--dicom", "/no/such/path"], []]
)
def test_wrong_usage_exits_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_the_index_is_made_checked_and_counted(run):
    assert run("db", "check").exit_code == 1
    upgraded = run("db", "upgrade")
    assert upgraded.exit_code == 0, upgraded.output
    checked = run("db", "check")
    assert checked.exit_code == 0
    assert upgraded.output.split()[-1] in checked.output
    assert run("db", "upgrade").output == upgraded.output
    status = run("index", "status", "--json")
    assert status.exit_code == 0
    assert json.loads(status.output).items() >= {"studies": 0, "series": 0, "instances": 0}.items()


def test_an_index_that_does_not_answer_exits_1(run):
    result = run("--set", "database_url=mysql+pymysql://root@127.0.0.1:1/x", "index", "status")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")


def test_check_is_a_table_and_fails_when_something_is_wrong(run, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    run("db", "upgrade")
    result = run(
        "--set", "ahi_endpoint=http://127.0.0.1:1", "--set", "ahi_region=us-east-1", "check", "--json"
    )
    assert result.exit_code == 1
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert {name for name, row in rows.items() if not row["ok"]} <= {"HealthImaging", "disk", "limits"}
    assert not rows["HealthImaging"]["ok"]
    assert rows["schema"]["ok"]
    assert rows["index"]["ok"]
    assert "secret" not in result.output


def test_a_token_is_shown_once(run, tmp_path):
    made = run("tokens", "new", "ct", "--groups", "devices, x", "--days", "3")
    assert made.exit_code == 0
    token = made.stdout.strip()
    assert token.startswith("dwg_")
    assert len(token) > 43
    listed = run("tokens", "list", "--json")
    row = json.loads(listed.output)
    assert (row["name"], row["groups"], row["scopes"]) == ("ct", ["devices", "x"], [])
    assert row["expires"]
    assert run("tokens", "list").output.startswith("name ct  groups devices,x  expires 2")
    everything = listed.output + run("config").output + (tmp_path / "data" / "tokens.toml").read_text()
    assert token not in everything
    assert run("tokens", "new", "ct").exit_code == 2
    assert run("tokens", "remove", "ct").exit_code == 0
    assert run("tokens", "list").output == ""


def test_a_user_is_logged_out_of_all_browsers(run, tmp_path):
    assert run("users", "log-out", "anna").exit_code == 1
    assert run("db", "upgrade").exit_code == 0
    url = f"sqlite:///{tmp_path / 'data' / 'index.sqlite'}"
    sessions = Sessions(SqlSessions(make_engine(url)), lambda caller, _: caller, b"s", SessionLimits(kept=0))
    ids = {
        (name, mode): sessions.begin(Caller(name, mode))[0]
        for name in ("anna", "ben")
        for mode in ("basic", "oidc")
    }
    assert run("users", "log-out", "anna").exit_code == 0
    assert {one for one, session_id in ids.items() if sessions.find(session_id)} == {
        ("ben", "basic"),
        ("ben", "oidc"),
    }


def test_users_are_set_from_standard_input(run, tmp_path):
    def set_password(text, *more):
        return run("users", "set", "anna", *more, given=text)

    assert set_password("correct horse\n", "--groups", "readers").exit_code == 0
    assert set_password("another one").exit_code == 0
    assert run("users", "list").output == "name anna  groups readers\n"
    path = tmp_path / "data" / "users.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "another" not in path.read_text()
    short = set_password("short")
    assert short.exit_code == 2
    assert "8 to" in short.stderr
    assert "short" not in short.stderr.partition("8 to")[0]
    assert run("users", "remove", "anna").exit_code == 0
    assert run("users", "list").output == ""


def test_check_tells_of_logins(run):
    def logins(*more):
        rows = {row["name"]: row for row in json.loads(run(*more, "check", "--json").stdout)}
        return rows["logins"]["ok"], rows["logins"]["detail"]

    away = ("--set", "ahi_endpoint=http://127.0.0.1:1", "--set", "ahi_region=us-east-1")
    assert logins(*away) == (True, "none")
    assert logins(*away, "--set", "auth_mode=token,basic") == (True, "token, basic, browsers: form")
    issuer = ("--set", "oidc_issuer=http://127.0.0.1:1", "--set", "oidc_audience=a")
    ok, detail = logins(*away, *issuer)
    assert not ok
    assert "does not answer" in detail


def test_help_needs_none_of_the_heavy_libraries():
    code = (
        "import sys\nfrom dicomweb_gateway.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'numpy', 'sqlalchemy', 'boto3', 'flask'} & set(sys.modules), sorted(sys.modules)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    for command in ("demo", "serve", "emulator", "index", "db", "check", "config", "tokens", "users"):
        assert command in shown.stdout


def test_a_demo_stores_into_its_own_healthimaging_whatever_is_set_for_another(run, monkeypatch):
    monkeypatch.setenv("AHI_DATASTORE_IDS", "d" * 32)
    monkeypatch.setenv("STORE_DATASTORE_ID", "d" * 32)
    monkeypatch.setenv("AHI_DICOMWEB_ENDPOINT", "https://elsewhere.example.org")
    monkeypatch.setenv("DB_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:111122223333:secret:index-a")
    made = []

    def run_demo(make_settings, *_):
        made.append(make_settings({"ahi_endpoint": "http://127.0.0.1:9"}))
        return 0

    monkeypatch.setattr("dicomweb_gateway.service.demo.run_demo", run_demo)
    assert run("demo", "--port", "0").exit_code == 0
    [settings] = made
    assert (settings.ahi_endpoint, settings.port) == ("http://127.0.0.1:9", 0)
    assert settings.allowed_datastores is None
    assert settings.store_datastore_id is None
    assert settings.ahi_dicomweb_endpoint is None
    assert settings.index_url == f"sqlite:///{settings.data_dir / 'index.sqlite'}"


def test_no_thread_is_begun_by_what_a_master_imports():
    """DESIGN 1: fetchers are forked before any thread exists; numpy's pool would be many."""
    begun = "import os, threading; print(len(os.listdir('/proc/self/task')), threading.active_count())"
    lines = (
        "from dicomweb_gateway.cli import main",
        "main(['check', '--help'], standalone_mode=False)",
        "import dicomweb_gateway.service.demo, numpy",
        begun,
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 1"
