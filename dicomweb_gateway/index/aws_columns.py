"""The AWS Lambda's columns as they are compared and answered: flaws mended on the way (healthimaging.md 6.3).

`'None'` is no value, padding goes, numbers in text columns are numbers, and text compares byte by byte
whatever the column's collation. What an index of the AWS tables can serve is said besides, in a form that is
never narrower (`equal_loosely`, `begins_loosely`): column and constant alone on either side.
"""

import re
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Numeric, and_, case, cast, func, or_
from sqlalchemy.dialects import mysql

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_values import NO_VALUE
from dicomweb_gateway.index.patterns import ESCAPE, Expression, any_of, escaped, matches, prefix_of
from dicomweb_gateway.qido.expression import NamePattern, NameWord, TextPattern
from dicomweb_gateway.qido.names import name_words

Column = ColumnElement[Any]

_BINARY = "utf8mb4_bin"
_LOOSE = "utf8mb4_general_ci"
"""Holds u and ü for equal, as fuzzy matching does."""

_FOLDED = {"ß": "ss", "ς": "σ"}
"""What case folding makes of letters that lower case leaves alone."""

_PLAIN = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
"""Letters that hold no diacritic for Unicode but are looked for without it (Q-27)."""

_LITERAL = re.compile(r"[].(){}+$|^/\[-]")

_CHANGED = re.compile("[*?^ σ\U00010000-\U0010ffff]|ss+|(?<=[*?])s|s(?=[*?])")
"""What of a folded pattern may be stored as something else: an s may be half of a folded ß."""

_RUNS = re.compile(r"\*+")
_INNER_WILDCARD = re.compile(r"\?|\*.")
_WILD_SIGNS = {"*": "[^ ]*", "?": "[^ ]"}
_ALIKE = re.compile("[^\U00010000-\U0010ffff]+")
"""All but the letters that the loose collation holds for one and the same."""

_NOTHING = {
    "patientid": aws.NO_PATIENT_ID,
    "issuerofpatientid": aws.DEFAULT_ISSUER,
}
"""What the Lambda writes into these columns where a document names nothing."""


def text_of(column: Column) -> Expression:
    """A text column's value, NULL where it has none; compares byte by byte."""
    text = func.trim(cast(column, mysql.CHAR(charset="utf8mb4"))).collate(_BINARY)
    value = func.nullif(func.nullif(text, ""), NO_VALUE)
    nothing = _NOTHING.get(getattr(column, "name", ""))
    return (value if nothing is None else func.nullif(value, nothing)).collate(_BINARY)


def number_of(column: Column) -> Expression:
    """The whole number in a text column, NULL where there is none."""
    text = text_of(column)
    return case((text.regexp_match("^[+-]?[0-9]+$"), cast(text, BigInteger)), else_=None)


def decimal_of(column: Column) -> Expression:
    """The decimal number in a text column, NULL where there is none."""
    text = text_of(column)
    written = text.regexp_match("^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})?$")
    return case((written, cast(text, Numeric(65, 30))), else_=None)


def member_like_any(column: Column, patterns: tuple[TextPattern, ...]) -> Expression:
    """One value of a column that may hold a list as Python writes it is like one of `patterns` (flaw 2)."""
    return any_of(text_of(column).regexp_match(_as_member(one)) for one in patterns)


def _as_member(pattern: TextPattern) -> str:
    """A regular expression for a value alone, between backslashes, or in quotes between commas."""
    parts = re.split("([*?])", pattern.text) if pattern.wildcard else [pattern.text]
    signs = {"*": "[^'\"\\\\]*", "?": "[^'\"\\\\]"}
    value = "".join(signs.get(part, _LITERAL.sub(r"[\g<0>]", part)) for part in parts)
    return f"(^|['\"\\\\]) *({value}) *(['\"\\\\]|$)"


def order_of(number: Expression) -> Expression:
    """What is sorted by: a missing number comes behind all others (Q-37)."""
    return func.coalesce(number, side.MISSING_LAST)


def text_like_any(column: Column, patterns: tuple[TextPattern, ...]) -> Expression:
    """A text column's value is like one of `patterns` (Q-11, Q-13, Q-16)."""
    literals = [one.text for one in patterns if not one.wildcard]
    exact = [and_(_equal_loosely(column, literals), text_of(column).in_(literals))] if literals else []
    likes = (_text_like(column, one.text) for one in patterns if one.wildcard)
    return any_of([*exact, *likes])


def name_like(column: Column, wanted: NamePattern, single_groups: bool) -> Expression:
    """A person name has a component group like the wanted one (Q-12).

    `single_groups`: no name in the column has a second group, so that the first can be looked for by the
    column's index. Lower case and the most frequent foldings are the database's; letters that are composed
    in another way than in the query are not found.
    """
    pattern = wanted.pattern
    if wanted.group is not None:
        numbers: tuple[int, ...] = (wanted.group,)
    else:
        numbers = (1,) if single_groups else (1, 2, 3)
    meets = any_of(_folded_like(column, number, pattern) for number in numbers)
    if single_groups:
        return and_(_like_loosely(column, pattern.text), meets)
    return meets


def begins_certainly(wanted: NamePattern) -> bool:
    """Whether the column's index leads to the names that are like the wanted one."""
    return bool(_loose(wanted.pattern.text).split("%", 1)[0])


def words_like(column: Column, words: tuple[NameWord, ...]) -> Expression:
    """Each pattern, `*` at its end, fits the beginning of some word of a person name (Q-27).

    Nothing is found by sound here.
    """
    spaced = func.regexp_replace(_lower(text_of(column), {**_FOLDED, **_PLAIN}), "[[:space:]^=,-]+", " ")
    text = func.concat(" ", spaced)
    return and_(*(_has_word(text, word.pattern.text) for word in words))


def _has_word(text: Expression, pattern: str) -> Expression:
    if _INNER_WILDCARD.search(pattern):
        # LIKE would let a wildcard stand for a space and so for parts of two words
        one_word = "".join(map(_sign, pattern.removesuffix("*")))
        return text.collate(_BINARY).regexp_match(f" {one_word}")
    loosely = matches(text.collate(_LOOSE), f"* {pattern}")
    exactly = _ALIKE.sub("*", pattern)
    return loosely if exactly == "*" else and_(loosely, matches(text.collate(_BINARY), f"*{exactly}"))


def _sign(letter: str) -> str:
    """A letter of a word's pattern as a regular expression, with those that are it with a diacritic."""
    if letter in _WILD_SIGNS:
        return _WILD_SIGNS[letter]
    alike = letter + _marked_letters().get(letter, "")
    return f"[{alike}]" if len(alike) > 1 else re.escape(letter)


@cache
def _marked_letters() -> dict[str, str]:
    """Letters of alphabets to those that are folded into them (`names.name_words`)."""
    found: dict[str, str] = {}
    for letter in map(chr, range(0xC0, 0x2000)):
        (word,) = name_words(letter) or ("",)
        if len(word) == 1 and word != letter:
            found[word] = found.get(word, "") + letter
    return found


def has_name(column: Column) -> Expression:
    """A person name that has anything to match by."""
    return any_of(func.coalesce(_folded(column, number), "") != "" for number in (1, 2, 3))


def has_groups(column: Column) -> Expression:
    """A person name of more than one component group."""
    return column.like("%=%")


def first_group(column: Column) -> Expression:
    """The folded first component group, what names are sorted by."""
    return func.nullif(_folded(column, 1), "")


def _text_like(column: Column, text: str) -> Expression:
    return and_(_begins_loosely(column, prefix_of(text)), matches(text_of(column), text))


def _equal_loosely(column: Column, literals: list[str]) -> Expression:
    """The column holds one of them, or one with a padding space before or after it, in its own collation."""
    return column.in_([form for one in literals for form in (one, f"{one} ", f" {one}", f" {one} ")])


def _begins_loosely(column: Column, prefix: str) -> Expression:
    if not prefix:
        return column.is_not(None)
    beginnings = (prefix, f" {prefix}")
    return or_(*(column.like(f"{escaped(one)}%", escape=ESCAPE) for one in beginnings))


def _like_loosely(column: Column, pattern: str) -> Expression:
    """What a name like the folded pattern looks like as it is stored, in a collation that knows no case."""
    loose = _loose(pattern)
    return or_(*(column.like(f"{space}{loose}", escape=ESCAPE) for space in ("", " ")))


def _loose(pattern: str) -> str:
    """A folded pattern for LIKE, with anything in place of what folding may have changed.

    That is spaces around components, and letters that may stand for another one or for half of one.
    """
    wild = _RUNS.sub("*", f"{_CHANGED.sub('*', pattern)}*")
    return escaped(wild).replace("*", "%")


def _group(column: Column, number: int) -> Expression:
    """One component group of a PN value, NULL where there is none; `number` from 1."""
    text = text_of(column)
    found = func.substring_index(func.substring_index(text, "=", number), "=", -1)
    if number == 1:
        return found
    signs = func.char_length(text) - func.char_length(func.replace(text, "=", ""))
    return case((signs >= number - 1, found), else_=None)


def _folded(column: Column, number: int) -> Expression:
    """A name group as `names.fold_group` has it, as far as a database can."""
    components = func.regexp_replace(func.trim(_group(column, number)), " *\\^ *", "^")
    return func.regexp_replace(_lower(components, _FOLDED), "\\^+$", "").collate(_BINARY)


def _folded_like(column: Column, number: int, pattern: TextPattern) -> Expression:
    folded = _folded(column, number)
    return matches(folded, pattern.text) if pattern.wildcard else folded == pattern.text


def _lower(text: Expression, folding: dict[str, str]) -> Expression:
    lower: Expression = func.lower(text)
    for letter, plain in folding.items():
        lower = func.replace(lower, letter, plain)
    return lower
