"""Query values as conditions, one reader for each kind of matching (dicomweb.md 2.3)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TypeAlias

from dicomweb_gateway.dicom.dictionary import parse_tag, tag_text
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import BACKSLASH_VRS, LIST_VRS, Matching, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    DateRange,
    DecimalIn,
    EmptyOr,
    IsEmpty,
    ModalitiesIn,
    MomentRange,
    NameIn,
    NamePattern,
    NameWord,
    NameWords,
    NumberIn,
    RangeIn,
    TextIn,
    TextPattern,
    TimeRange,
    UidIn,
    ValueCondition,
)
from dicomweb_gateway.qido.names import GROUPS, fold_group, name_words
from dicomweb_gateway.qido.numbers import exact_number
from dicomweb_gateway.qido.sounds import sound_of
from dicomweb_gateway.qido.temporal import parse_date, parse_moment, parse_time
from dicomweb_gateway.qido.texts import searchable

MAX_VALUES = 10_000
"""Values of one key."""

MAX_PATTERNS = 200
"""Names, ranges and values with wildcards of one key: the database looks at each of them in each row."""

MAX_TEXT = 1024
"""Characters of one text value; nothing that is stored for matching is longer."""

MAX_WILDCARDS = 16
"""`*` in one value: each more multiplies the database's work on a value that almost fits."""

MAX_WORDS = 24
"""Words of one name in fuzzy matching; each is a look-up of its own, and names have at most 15 components."""

_ONE_BY_ONE = frozenset((Matching.NAME, Matching.DATE, Matching.TIME, Matching.MOMENT))
"""Kinds whose values are not looked up in a list."""

EMPTY = '""'
"""The value that matches no value (Q-25)."""

_LARGEST = 2**53
"""Whole numbers of columns reach so far; those of the DICOM JSON know no bound."""

_RUNS = re.compile(r"\*+")
_SEPARATORS = re.compile(r"[,\\]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)


def is_universal(value: str) -> bool:
    """Whether a value matches everything, a missing value included (Q-10)."""
    return not value.strip(" *") and "?" not in value


@dataclass(frozen=True, slots=True)
class MatchingOptions:
    """What the parameters of Q-25 and Q-26 switch on, and what the server adds to them.

    `zone`: the time zone of moments that name no offset (Q-20). `phonetic`: fuzzy matching of names goes by
    sounds too (Q-27).
    """

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    zone: tzinfo = UTC
    phonetic: bool = False


def make_condition(
    attribute: QueryAttribute, values: Sequence[str], name: str, options: MatchingOptions
) -> Condition | None:
    """The condition that `values` (OR) state for the attribute, None when they match everything.

    `name` is the key as the client wrote it; InvalidRequest names it.
    """
    if any("\0" in value for value in values):
        raise InvalidRequest(f"{name}: a value holds a NUL character")
    if options.multiple_values and attribute.vr not in BACKSLASH_VRS:
        values = [part for value in values for part in _members(value)]
    if any(is_universal(value) for value in values):
        return None
    asked = [searchable(value) for value in values]
    if not all(asked):
        raise InvalidRequest(f"{name}: a value of control characters only")
    rest = [value for value in asked if not (options.empty_values and value == EMPTY)]
    empty = IsEmpty(attribute) if len(rest) < len(asked) else None
    if empty is not None and not rest:
        return empty
    if attribute.matching in _ONE_BY_ONE and len(rest) > MAX_PATTERNS:
        raise InvalidRequest(f"{name}: more than {MAX_PATTERNS} values")
    condition = _MAKERS[attribute.matching](attribute, rest, name, options)
    return condition if empty is None or condition is None else EmptyOr(empty, condition)


def _members(value: str) -> list[str]:
    """The values that backslashes separate; one that is empty beside others is no wish for everything."""
    return [part for part in value.split("\\") if part.strip(" ")] or [value.replace("\\", "")]


def _uids(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    uids = [part.strip(" ") for value in values for part in _SEPARATORS.split(value)]
    uids = [uid for uid in uids if uid]
    if len(uids) > MAX_VALUES:
        raise InvalidRequest(f"{name}: more than {MAX_VALUES} values")
    if not uids or not all(is_valid_uid(uid) for uid in uids):
        raise InvalidRequest(f"{name}: not a UID or list of UIDs; wildcards are not allowed here")
    return UidIn(attribute, tuple(dict.fromkeys(uids)))


def _texts(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = _patterns(attribute, values, name)
    return None if patterns is None else TextIn(attribute, patterns)


def _modalities(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = _patterns(attribute, values, name)
    return None if patterns is None else ModalitiesIn(patterns)


def _names(
    attribute: QueryAttribute, values: list[str], name: str, options: MatchingOptions
) -> ValueCondition | None:
    if options.fuzzy:
        return _words(attribute, values, name, options.phonetic)
    alternatives = [_name(value, name) for value in values]
    return NameIn(attribute, tuple(alternatives)) if all(alternatives) else None


def _words(attribute: QueryAttribute, values: list[str], name: str, phonetic: bool) -> ValueCondition | None:
    """Names by the beginnings of their words, or their sounds, in any order (Q-27)."""
    alternatives = [_members_of_name(value, name, phonetic) for value in values]
    return NameWords(attribute, tuple(alternatives)) if all(alternatives) else None


def _members_of_name(value: str, name: str, phonetic: bool) -> tuple[NameWord, ...]:
    """What to look for of each word of the value; empty when it matches everything.

    Viewers put `*` around what was typed: that does not change how it sounds.
    """
    words = [word for word in name_words(value) if word.strip("*")]
    if not words and not all(is_universal(fold_group(group)) for group in value.split("=")):
        raise InvalidRequest(f"{name}: a name without a word to look for")
    if len(words) > MAX_WORDS:
        raise InvalidRequest(f"{name}: more than {MAX_WORDS} words in a name")
    return tuple(
        NameWord(_pattern(f"{word}*", name), sound_of(word.strip("*")) if phonetic else "") for word in words
    )


def _dates(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(_date_range(value, name) for value in values))


def _times(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(_time_range(value, name) for value in values))


def _moments(
    attribute: QueryAttribute, values: list[str], name: str, options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(_moment_range(value, name, options.zone) for value in values))


def _numbers(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    if not all(_INTEGER.fullmatch(value) for value in values):
        raise InvalidRequest(f"{name}: not a whole number")
    bounded = attribute.column is not None
    return NumberIn(attribute, tuple(n for n in map(int, values) if not bounded or abs(n) <= _LARGEST))


def _decimals(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    found = [exact_number(value) for value in values]
    numbers = tuple(number for number in found if number is not None)
    if len(numbers) < len(found):
        raise InvalidRequest(f"{name}: not a decimal number, or one too long to be stored")
    return DecimalIn(attribute, numbers)


def _exact_texts(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = tuple(_pattern(value, name) for value in dict.fromkeys(values))
    if any(pattern.wildcard for pattern in patterns):
        raise InvalidRequest(f"{name}: wildcards are not allowed here")
    return TextIn(attribute, patterns)


def _tags(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    """Tags as DICOM JSON spells them (PS3.18 F.2.2)."""
    found = [parse_tag(value) for value in values]
    tags = dict.fromkeys(tag_text(tag) for tag in found if tag is not None)
    if None in found:
        raise InvalidRequest(f"{name}: not a tag of 8 hex digits")
    return TextIn(attribute, tuple(TextPattern(tag, False) for tag in tags))


_Maker: TypeAlias = Callable[[QueryAttribute, list[str], str, MatchingOptions], ValueCondition | None]

_MAKERS: dict[Matching, _Maker] = {
    Matching.UID: _uids,
    Matching.TEXT: _texts,
    Matching.MODALITIES: _modalities,
    Matching.NAME: _names,
    Matching.DATE: _dates,
    Matching.TIME: _times,
    Matching.MOMENT: _moments,
    Matching.NUMBER: _numbers,
    Matching.DECIMAL: _decimals,
    Matching.EXACT: _exact_texts,
    Matching.TAG: _tags,
}


def _patterns(attribute: QueryAttribute, values: list[str], name: str) -> tuple[TextPattern, ...] | None:
    """Patterns of a text key and its lists; None when one member matches everything.

    A short value with a comma also counts as a whole: descriptions contain commas.
    """
    if attribute.vr not in LIST_VRS:
        return _few(tuple(_pattern(value, name) for value in dict.fromkeys(values)), name)
    parts = [part.strip(" ") for value in values for part in _SEPARATORS.split(value)]
    if any(is_universal(part) for part in parts if part):
        return None
    whole = [value for value in values if len(value) <= MAX_TEXT and value.count("*") <= MAX_WILDCARDS]
    members = [member for member in dict.fromkeys([*whole, *parts]) if member]
    if len(members) > MAX_VALUES:
        raise InvalidRequest(f"{name}: more than {MAX_VALUES} values")
    return _few(tuple(_pattern(member, name) for member in members), name)


def _few(patterns: tuple[TextPattern, ...], name: str) -> tuple[TextPattern, ...]:
    if sum(pattern.wildcard for pattern in patterns) > MAX_PATTERNS:
        raise InvalidRequest(f"{name}: more than {MAX_PATTERNS} values with wildcards")
    return patterns


def _pattern(text: str, name: str) -> TextPattern:
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"{name}: a value is longer than {MAX_TEXT} characters")
    text = _RUNS.sub("*", text)
    if text.count("*") > MAX_WILDCARDS:
        raise InvalidRequest(f"{name}: more than {MAX_WILDCARDS} wildcards in a value")
    return TextPattern(text, "*" in text or "?" in text)


def _name(value: str, name: str) -> tuple[NamePattern, ...]:
    """Group patterns of one PN value; empty when it matches everything.

    Without `=` any component group may fit (Q-12); with it each given group must fit its own.
    """
    groups = value.split("=")
    if len(groups) > GROUPS:
        raise InvalidRequest(f"{name}: a person name has at most {GROUPS} component groups")
    single = len(groups) == 1
    return tuple(
        NamePattern(_pattern(fold_group(group), name), None if single else number)
        for number, group in enumerate(groups, 1)
        if not is_universal(fold_group(group))
    )


def _date_range(value: str, name: str) -> DateRange:
    start_text, dash, end_text = value.partition("-")
    start, end = parse_date(start_text.strip(" ")), parse_date(end_text.strip(" "))
    if (start_text and start is None) or (end_text and end is None) or (start is None and end is None):
        raise InvalidRequest(f"{name}: not a date YYYYMMDD or range of dates a-b, a- or -b")
    if start is not None and end is not None and start > end:
        raise InvalidRequest(f"{name}: the range ends before it starts")
    return DateRange(start, end if dash else start)


def _time_range(value: str, name: str) -> TimeRange:
    start_text, dash, end_text = value.partition("-")
    start, end = parse_time(start_text.strip(" ")), parse_time(end_text.strip(" "))
    if (start_text and start is None) or (end_text and end is None) or (start is None and end is None):
        raise InvalidRequest(f"{name}: not a time HH[MM[SS[.F]]] or range of times a-b, a- or -b")
    if start is not None and end is not None and start.start > end.end:
        raise InvalidRequest(f"{name}: the range ends before it starts")
    last = end if dash else start
    return TimeRange(start and start.start, last and last.end)


def _moment_range(value: str, name: str, zone: tzinfo) -> MomentRange:
    """One DT value or a range of them; a `+` that the query string made a space is one again.

    A hyphen and four digits are an offset wherever they can be, so the last hyphen that parts two values
    is the one that does (Q-20).
    """
    value = value.replace(" ", "+")
    whole = parse_moment(value, zone)
    if whole is not None:
        return MomentRange(whole.start, whole.end)
    for start_text, end_text in _halves(value):
        start, end = parse_moment(start_text, zone), parse_moment(end_text, zone)
        if (start_text and start is None) or (end_text and end is None) or (start is None and end is None):
            continue
        if start is not None and end is not None and start.start > end.end:
            raise InvalidRequest(f"{name}: the range ends before it starts")
        return MomentRange(start and start.start, end and end.end)
    raise InvalidRequest(f"{name}: not a date and time or range of them a-b, a- or -b")


def _halves(value: str) -> Iterator[tuple[str, str]]:
    for position in range(len(value) - 1, -1, -1):
        if value[position] == "-":
            yield value[:position], value[position + 1 :]
