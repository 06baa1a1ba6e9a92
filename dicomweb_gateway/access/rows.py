"""The files of tokens and users: TOML with one table a row, read, added to and replaced."""

import fcntl
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from dicomweb_gateway.access.watched_file import read_text
from dicomweb_gateway.errors import SettingsError

_NAME = re.compile(r"[^\s\x00-\x1f\x7f:,\"](?:[^\x00-\x1f\x7f:,\"]{0,253}[^\s\x00-\x1f\x7f:,\"])?")
_Row = TypeVar("_Row", bound=BaseModel)


def checked_name(name: str) -> str:
    """`name`, when it can name a caller or a group: 1 to 255 printable characters, without `:` `,` `"`."""
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ValueError("a name is 1 to 255 printable characters without colon, comma and quote")
    return name


Name = Annotated[str, AfterValidator(checked_name)]


class NamedRow(BaseModel):
    """A row that is known by its name, and holds nothing that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name


def parse_rows(text: str, table: str, kind: type[_Row], path: Path) -> list[_Row]:
    """The rows `[[table]]` of `text`; SettingsError, which holds nothing of any row but its number.

    `path` is named in the error.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise SettingsError(f"{path} is not valid TOML") from None
    rows = found.pop(table, [])
    if found or not isinstance(rows, list):
        raise SettingsError(f"{path} may hold [[{table}]] tables only")
    made: list[_Row] = []
    for number, row in enumerate(rows, 1):
        try:
            made.append(kind.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            raise SettingsError(f"{path}, [[{table}]] {number}: {field}: {message}") from None
    return made


def text_of(table: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The file with these rows; what is None or empty is left out."""
    return "\n".join(
        "\n".join([f"[[{table}]]", *(f"{name} = {_written(v)}" for name, v in row.items() if v), ""])
        for row in rows
    )


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else changes the file until the block ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def present_text(path: Path) -> str:
    """The text of the file, "" where there is none yet."""
    return read_text(path) if path.exists() else ""


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of the file at one stroke, for its owner alone to read."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        # a service under another user must be able to read it afterwards as before
        known = path.stat()
        os.chmod(new, known.st_mode & 0o777)
        if (known.st_uid, known.st_gid) != (new.stat().st_uid, new.stat().st_gid):
            os.chown(new, known.st_uid, known.st_gid)
    new.replace(path)


def remove_row(path: Path, table: str, read: Callable[[Path], Sequence[NamedRow]], name: str) -> None:
    """Take the row named `name` out of the file that `read` reads; SettingsError where there is none."""
    with held(path):
        rows = read(path)
        left = [row.model_dump() for row in rows if row.name != name]
        if len(left) == len(rows):
            raise SettingsError(f"{path} has no {table.removesuffix('s')} named {name}")
        replace_text(path, text_of(table, left))


def _written(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_written, value))}]"
    return str(value.isoformat())
