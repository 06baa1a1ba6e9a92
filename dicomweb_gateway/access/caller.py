"""Who asks: what authentication found out about a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """One who asks, as the login knows them.

    `name`: the user, device or script, for rules and the audit log; never empty. `mode`: the kind of login
    (a member of AUTH_MODE, or ADMIN_MODE). `client`: the application that acts for them (client_id or azp of
    a token), "" where none is told. `groups` and `scopes` as the login says.
    """

    name: str
    mode: str
    client: str = ""
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


ADMIN_MODE = "admin"
"""The mode of the user whose password the settings give; no other login makes a caller of it."""

ANYBODY = Caller("anybody", "none")
"""Who asks where no login is configured."""
