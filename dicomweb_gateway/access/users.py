"""The file of users who log in with a password (AUTH_MODE basic)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.passwords import PasswordHash, hash_password, parse_hash
from dicomweb_gateway.access.rows import (
    Name,
    NamedRow,
    held,
    parse_rows,
    present_text,
    remove_row,
    replace_text,
    text_of,
)
from dicomweb_gateway.errors import SettingsError

TABLE = "users"


def _hash(text: str) -> str:
    return str(parse_hash(text))


class UserRow(NamedRow):
    """One row of the file."""

    password: Annotated[str, AfterValidator(_hash)]
    groups: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A user and what their password must fit."""

    caller: Caller
    password: PasswordHash


def read_users(path: Path) -> list[UserRow]:
    """The rows of the file, none where it is not there; SettingsError for one that cannot be used."""
    return _rows(present_text(path), path)


def users_by_name(text: str, path: Path) -> dict[str, User]:
    """The users in `text`, by name."""
    return {
        row.name: User(Caller(row.name, "basic", "", frozenset(row.groups)), parse_hash(row.password))
        for row in _rows(text, path)
    }


def set_user(path: Path, name: str, password: str, groups: tuple[str, ...] | None) -> None:
    """Add a user to the file or change theirs; `groups` None leaves those they have. SettingsError."""
    try:
        hashed = str(hash_password(password))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    with held(path):
        rows = {row.name: row for row in read_users(path)}
        known = rows.get(name)
        kept = groups if groups is not None else known.groups if known else ()
        added = text_of(TABLE, [{"name": name, "password": hashed, "groups": kept}])
        (rows[name],) = _rows(added, path)
        replace_text(path, text_of(TABLE, [row.model_dump() for row in rows.values()]))


def remove_user(path: Path, name: str) -> None:
    """Take a user out of the file; SettingsError where there is none of that name."""
    remove_row(path, TABLE, read_users, name)


def _rows(text: str, path: Path) -> list[UserRow]:
    rows = parse_rows(text, TABLE, UserRow, path)
    if len({row.name for row in rows}) != len(rows):
        raise SettingsError(f"{path} names a user twice")
    return rows
