"""The user `admin`, whose password the settings give, and who may administer whatever the rules say."""

from collections.abc import Callable
from pathlib import Path

from dicomweb_gateway.access.caller import ADMIN_MODE, Caller
from dicomweb_gateway.access.passwords import LONGEST, SHORTEST, hash_password
from dicomweb_gateway.access.users import User
from dicomweb_gateway.access.watched_file import WatchedFile, read_text
from dicomweb_gateway.errors import SettingsError

NAME = "admin"


def is_password(text: str) -> bool:
    """Whether it has a length that is taken."""
    return SHORTEST <= len(text) <= LONGEST


def admin_user(password: str, salt: bytes) -> User:
    """The user with that password; all processes make the same of the same `salt`. SettingsError."""
    try:
        hashed = hash_password(password, salt=salt)
    except ValueError as error:
        raise SettingsError(f"the administrator's password cannot be used: {error}") from None
    return User(Caller(NAME, ADMIN_MODE, groups=frozenset({NAME})), hashed)


def password_in(path: Path) -> str:
    """The password that the file holds, without the line's end; SettingsError for a file that holds none."""
    return _checked(read_text(path).rstrip("\r\n"), path)


def admin_of_file(path: Path, salt: bytes) -> Callable[[], User | None]:
    """The user as the file at `path` has the password now; None while it never held one."""
    file: WatchedFile[User | None] = WatchedFile(
        path, lambda text: admin_user(_checked(text.rstrip("\r\n"), path), salt), None, secret=True
    )
    return lambda: file.content


def _checked(password: str, path: Path) -> str:
    if not is_password(password):
        raise SettingsError(f"{path} must hold a password of {SHORTEST} to {LONGEST} characters")
    return password
