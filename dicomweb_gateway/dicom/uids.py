"""UID rules (PS3.5 9.1; dicomweb.md C-5)."""

import re

from dicomweb_gateway.errors import InvalidRequest

MAX_LENGTH = 64
"""Characters, PS3.5 9.1."""

_PATTERN = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)


def is_valid_uid(text: str) -> bool:
    """Whether `text` is digits and dots, no empty component, 1 to 64 characters.

    Leading zeros in a component are let through: files with such UIDs exist and must stay reachable.
    """
    return 0 < len(text) <= MAX_LENGTH and _PATTERN.fullmatch(text) is not None


def require_uid(text: str, name: str) -> str:
    """`text` itself when it is a valid UID; else InvalidRequest that names `name` (C-5)."""
    if not is_valid_uid(text):
        raise InvalidRequest(f"{name} is not a valid UID: digits and dots, at most {MAX_LENGTH} characters")
    return text
