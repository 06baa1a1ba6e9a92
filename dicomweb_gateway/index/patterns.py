"""Text patterns as SQL: ranges that an index serves, and LIKE for what is left (dicomweb.md Q-13)."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_

from dicomweb_gateway.qido.expression import DateRange, MomentRange, TextPattern, TimeRange

Expression = ColumnElement[Any]

ESCAPE = "!"
"""Escape character of LIKE; a backslash would mean different things to different databases."""

_WILDCARD = re.compile(r"[*?]")
_LAST_CODE = 0x10FFFF
_FIRST_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000


def any_of(expressions: Iterable[Expression]) -> Expression:
    """One of `expressions` holds; none of none does, where an empty `OR` would let everything through."""
    return or_(false(), *expressions)


def some(query: Select[Any]) -> Expression:
    """At least one row, counted: a form that no database turns into a join of its own choice."""
    return query.with_only_columns(func.count()).scalar_subquery() > 0


def like_any(column: Expression, patterns: tuple[TextPattern, ...]) -> Expression:
    """`column`, which compares byte by byte, is like one of `patterns`."""
    literals = [pattern.text for pattern in patterns if not pattern.wildcard]
    likes = [like(column, pattern.text) for pattern in patterns if pattern.wildcard]
    return any_of([*([column.in_(literals)] if literals else []), *likes])


def like(column: Expression, text: str) -> Expression:
    """Wildcard match: a range over the prefix, which an index serves, and LIKE for the rest.

    LIKE is given a computed value, not the column, so that no index serves it: the range that MariaDB
    derives from a prefix ends at U+FFFF and loses texts that go on with a later character.
    """
    prefix = prefix_of(text)
    after = _after(prefix)
    bounds = [column >= prefix] if prefix else []
    bounds += [column < after] if after else []
    if after and text == f"{prefix}*" and not prefix.endswith(" "):
        # the range says it all, except where MySQL pads for comparing: then a text may end before the prefix
        return and_(*bounds)
    return and_(*bounds, matches(column.concat(""), text))


def matches(column: Expression, text: str) -> Expression:
    """LIKE with `text`'s wildcards, in the column's own collation."""
    return column.like(escaped(text).replace("*", "%").replace("?", "_"), escape=ESCAPE)


def escaped(text: str) -> str:
    """`text` with LIKE's own signs made ordinary ones."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


def prefix_of(text: str) -> str:
    """What every match of a pattern begins with."""
    return _WILDCARD.split(text, maxsplit=1)[0]


def within(column: Expression, limits: DateRange | TimeRange | MomentRange) -> Expression:
    """Inside the range, both ends included; a missing value never is (Q-18)."""
    bounds = []
    if limits.start is not None:
        bounds.append(column >= limits.start)
    if limits.end is not None:
        bounds.append(column <= limits.end)
    return and_(column.is_not(None), *bounds)


def _after(prefix: str) -> str:
    """The first text, by code points, behind all that begin with `prefix`; "" when there is none."""
    stem = prefix.rstrip(chr(_LAST_CODE))
    if not stem:
        return ""
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(_AFTER_SURROGATES if code == _FIRST_SURROGATE else code)
