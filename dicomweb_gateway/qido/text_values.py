"""Values of text keys as patterns (dicomweb.md Q-10, Q-13)."""

import re

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import LIST_VRS, QueryAttribute
from dicomweb_gateway.qido.expression import TextPattern

MAX_VALUES = 10_000
"""Values of one key."""

MAX_PATTERNS = 200
"""Names, ranges and values with wildcards of one key: the database looks at each of them in each row."""

MAX_TEXT = 1024
"""Characters of one text value; nothing that is stored for matching is longer."""

MAX_WILDCARDS = 16
"""`*` in one value: each more multiplies the database's work on a value that almost fits."""

SEPARATORS = re.compile(r"[,\\]")
"""Between the values of a list."""

_RUNS = re.compile(r"\*+")


def is_universal(value: str) -> bool:
    """Whether a value matches everything, a missing value included (Q-10)."""
    return not value.strip(" *") and "?" not in value


def text_patterns(attribute: QueryAttribute, values: list[str], name: str) -> tuple[TextPattern, ...] | None:
    """Patterns of a text key and its lists; None when one member matches everything.

    A short value with a comma also counts as a whole: descriptions contain commas.
    """
    if attribute.vr not in LIST_VRS:
        return _few(tuple(text_pattern(value, name) for value in dict.fromkeys(values)), name)
    parts = [part.strip(" ") for value in values for part in SEPARATORS.split(value)]
    if any(is_universal(part) for part in parts if part):
        return None
    whole = [value for value in values if len(value) <= MAX_TEXT and value.count("*") <= MAX_WILDCARDS]
    members = [member for member in dict.fromkeys([*whole, *parts]) if member]
    if len(members) > MAX_VALUES:
        raise InvalidRequest(f"{name}: more than {MAX_VALUES} values")
    return _few(tuple(text_pattern(member, name) for member in members), name)


def _few(patterns: tuple[TextPattern, ...], name: str) -> tuple[TextPattern, ...]:
    if sum(pattern.wildcard for pattern in patterns) > MAX_PATTERNS:
        raise InvalidRequest(f"{name}: more than {MAX_PATTERNS} values with wildcards")
    return patterns


def text_pattern(text: str, name: str) -> TextPattern:
    """One value, with or without wildcards; InvalidRequest, which names the key, where it is too much."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"{name}: a value is longer than {MAX_TEXT} characters")
    text = _RUNS.sub("*", text)
    if text.count("*") > MAX_WILDCARDS:
        raise InvalidRequest(f"{name}: more than {MAX_WILDCARDS} wildcards in a value")
    return TextPattern(text, "*" in text or "?" in text)
