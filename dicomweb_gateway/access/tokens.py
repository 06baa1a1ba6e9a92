"""Static API tokens for scripts and devices: a file that holds their SHA-256, never the tokens."""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from dicomweb_gateway.access.caller import Caller
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
from dicomweb_gateway.access.watched_file import WatchedFile
from dicomweb_gateway.errors import SettingsError

TABLE = "tokens"
_PREFIX = "dwg_"
_RANDOM_BYTES = 32
_SHORTEST = 43
"""Characters of 32 random bytes in base 64; what is shorter is no token, whatever the file says."""


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("must be a SHA-256 in 64 lower-case hexadecimal digits")
    return text


class TokenRow(NamedRow):
    """One row of the file; `expires` None: never."""

    sha256: Annotated[str, AfterValidator(_digest)]
    groups: tuple[Name, ...] = ()
    scopes: tuple[Name, ...] = ()
    expires: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether it no longer counts; an expiry without zone is in UTC."""
        if self.expires is None:
            return False
        expires = self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        return now >= expires


@dataclass(frozen=True, slots=True)
class _Known:
    row: TokenRow
    caller: Caller


class StaticTokens:
    """The tokens of the file at `path`, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._file: WatchedFile[dict[str, _Known]] = WatchedFile(path, lambda text: _known(text, path), {})

    @property
    def trouble(self) -> str | None:
        """What is wrong with the file."""
        return self._file.trouble

    def caller_of(self, token: str) -> Caller | None:
        """Who holds `token`; None for one that is not known, or no longer."""
        if len(token) < _SHORTEST:
            return None
        digest = sha256(token.encode()).hexdigest()
        known = self._file.content.get(digest)
        if known is None or not hmac.compare_digest(known.row.sha256, digest):
            return None
        return None if known.row.has_expired(datetime.now(UTC)) else known.caller


def read_tokens(path: Path) -> list[TokenRow]:
    """The rows of the file, none where it is not there; SettingsError for one that cannot be used."""
    return parse_rows(present_text(path), TABLE, TokenRow, path)


def add_token(
    path: Path, name: str, groups: tuple[str, ...], scopes: tuple[str, ...], days: float | None
) -> str:
    """A new token, whose hash is added to the file; SettingsError where the name is taken or no name."""
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    expires = None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    digest = sha256(token.encode()).hexdigest()
    row = {"name": name, "sha256": digest, "groups": groups, "scopes": scopes, "expires": expires}
    with held(path):
        text = present_text(path)
        if any(known.name == name for known in parse_rows(text, TABLE, TokenRow, path)):
            raise SettingsError(f"{path} has a token named {name} already")
        added = text_of(TABLE, [row])
        parse_rows(added, TABLE, TokenRow, path)
        replace_text(path, f"{text.rstrip()}\n\n{added}" if text.strip() else added)
    return token


def remove_token(path: Path, name: str) -> None:
    """Take the token named `name` out of the file; SettingsError where there is none."""
    remove_row(path, TABLE, read_tokens, name)


def _known(text: str, path: Path) -> dict[str, _Known]:
    rows = parse_rows(text, TABLE, TokenRow, path)
    return {
        row.sha256: _Known(row, Caller(row.name, "token", "", frozenset(row.groups), frozenset(row.scopes)))
        for row in rows
    }
