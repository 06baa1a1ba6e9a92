"""Values as the AWS Lambda writes them into text columns (healthimaging.md 6.3, flaws 1, 2 and 6)."""

import re

from dicomweb_gateway.imagesets.values import PADDING

NO_VALUE = "None"
"""What the Lambda writes for an attribute that is there without a value."""

_MEMBER = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_CUT_MEMBER = re.compile(r"""['"]([^'"]*)$""")


def stored_text(value: str | None) -> str | None:
    """The value without padding; None for no value, also where the Lambda wrote it as a word."""
    stripped = (value or "").strip(PADDING)
    return None if stripped in ("", NO_VALUE) else stripped


def stored_values(value: str | None) -> list[str]:
    """The values in a column that may hold a list as Python writes it, whole or cut short, or DICOM text.

    `['40', '-600']`, `['-600.000000', '` (its last member is dropped when nothing of it is left), `40` and
    `40\\-600` are all read.
    """
    found = stored_text(value)
    if found is None:
        return []
    if not found.startswith("["):
        return [member.strip(PADDING) for member in found.split("\\")]
    members = [(one or other).strip(PADDING) for one, other in _MEMBER.findall(found)]
    cut = _CUT_MEMBER.search(_MEMBER.sub("", found))
    if cut is not None and cut.group(1):
        members.append(cut.group(1).strip(PADDING))
    return members


def whole_number(value: str | None) -> int | None:
    """The whole number in a text column, None when there is none."""
    found = stored_text(value)
    try:
        return None if found is None else int(found)
    except ValueError:
        return None
