"""The commands `tokens` and `users`: the files of those who may log in."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from dicomweb_gateway.cli_common import Given, report
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.setting_groups.lists import split_list


@click.group()
def tokens() -> None:
    """Static tokens for scripts and devices (AUTH_MODE token)."""


@tokens.command("new")
@click.argument("name")
@click.option("--groups", default="", metavar="A,B", help="Groups for the access rules.")
@click.option("--scopes", default="", metavar="A,B", help="Scopes for the access rules.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=36_500), help="Until it expires.")
@click.pass_obj
def tokens_new(given: Given, name: str, groups: str, scopes: str, days: float | None) -> None:
    """Make a token and print it, once: only its hash is kept."""
    from dicomweb_gateway.access.tokens import add_token

    path = given.settings().tokens_path
    click.echo(add_token(path, name, split_list(groups), split_list(scopes), days))
    click.echo(f"its hash stands in {path}; the token itself is shown only now", err=True)


@tokens.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def tokens_list(given: Given, as_json: bool) -> None:
    """Names, groups, scopes and expiries; no hashes."""
    from dicomweb_gateway.access.tokens import read_tokens

    for row in read_tokens(given.settings().tokens_path):
        expires = row.expires.isoformat() if row.expires else None
        _report(as_json, {"name": row.name, "groups": row.groups, "scopes": row.scopes, "expires": expires})


@tokens.command("remove")
@click.argument("name")
@click.pass_obj
def tokens_remove(given: Given, name: str) -> None:
    """Have a token no longer taken, from the next second on."""
    from dicomweb_gateway.access.tokens import remove_token

    remove_token(given.settings().tokens_path, name)


@click.group()
def users() -> None:
    """Users who log in with a password (AUTH_MODE basic)."""


@users.command("set")
@click.argument("name")
@click.option("--groups", metavar="A,B", help="Groups for the access rules; without it those they have.")
@click.pass_obj
def users_set(given: Given, name: str, groups: str | None) -> None:
    """Add a user or change their password, which is asked for or read from standard input."""
    from dicomweb_gateway.access.users import set_user

    path = given.settings().users_path
    set_user(path, name, _password(), split_list(groups))
    click.echo(f"{name} stands in {path}", err=True)


@users.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def users_list(given: Given, as_json: bool) -> None:
    """Names and groups; no hashes."""
    from dicomweb_gateway.access.users import read_users

    for row in read_users(given.settings().users_path):
        _report(as_json, {"name": row.name, "groups": row.groups})


@users.command("remove")
@click.argument("name")
@click.pass_obj
def users_remove(given: Given, name: str) -> None:
    """Have a user no longer let in, from the next second on."""
    from dicomweb_gateway.access.users import remove_user

    remove_user(given.settings().users_path, name)


@users.command("log-out")
@click.argument("name")
@click.pass_obj
def users_log_out(given: Given, name: str) -> None:
    """End all sessions of a user's browsers, whichever login they came by; holds within ten seconds."""
    from dicomweb_gateway.access.sessions import MODES, owner_of
    from dicomweb_gateway.service.session_stores import stores_of_command

    sessions = stores_of_command(given.settings()).sessions
    for mode in MODES:
        sessions.remove_of(owner_of(mode, name))


def _report(as_json: bool, row: dict[str, Any]) -> None:
    if not as_json:
        row = {name: _joined(value) for name, value in row.items() if value}
    report(as_json, row)


def _joined(value: Any) -> Any:
    return ",".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("password", hide_input=True, confirmation_prompt=True))
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise SettingsError("no password on standard input")
    return given
